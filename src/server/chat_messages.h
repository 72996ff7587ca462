// Messages of a chat request in the form that chat templates expect.
#pragma once

#include "base/json.h"
#include "base/result.h"

namespace gallop::server {

// Checks the list and rewrites it: content parts are joined to one string, the role `function`
// becomes tool, tool call arguments become objects, an empty `tool_calls` is dropped, `reasoning`
// and `reasoning_content` are both set when either is. Errors name the message.
Result<Json> convert_messages(const Json& messages);

// Converted messages for a template that does not know the role `developer`: it becomes system.
void rename_developer(Json& messages);

}  // namespace gallop::server
