// Stop strings over streamed text: holds back the longest suffix that may still become one. The
// result does not depend on how the text is split: the stop string that is complete first wins, of
// several that end at one place the longest.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gallop::text {

class StopMatcher {
 public:
  // No stop string is empty; an empty list passes everything through.
  explicit StopMatcher(std::vector<std::string> stops);

  struct Match {
    std::string text;         // safe to show now; excludes the stop string
    std::string stop_string;  // the one that matched, else empty
    bool stopped = false;
  };

  // Feeds text; after a match nothing more may be fed.
  Match append(std::string_view text);
  // The end of the stream without a match: what was held back.
  std::string finish();

 private:
  std::vector<std::string> stops_;
  std::string held_;
};

}  // namespace gallop::text
