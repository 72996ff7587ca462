#include "text/stop_matcher.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "text/text_suffix.h"

namespace gallop::text {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  for (const std::string& stop : stops_) CHECK(!stop.empty());
}

StopMatcher::Match StopMatcher::append(std::string_view text) {
  if (stops_.empty()) return {std::string(text), {}, false};
  held_ += text;
  // Held text is a proper prefix of some stop string, so a new match can not begin before it.
  size_t best_end = std::string::npos;
  const std::string* best = nullptr;
  for (const std::string& stop : stops_) {
    const size_t begin = held_.find(stop);
    if (begin == std::string::npos) continue;
    const size_t end = begin + stop.size();
    if (best == nullptr || end < best_end || (end == best_end && stop.size() > best->size())) {
      best_end = end;
      best = &stop;
    }
  }
  Match match;
  if (best != nullptr) {
    match = {
        .text = held_.substr(0, best_end - best->size()), .stop_string = *best, .stopped = true};
    held_.clear();
    return match;
  }
  size_t keep = 0;
  for (const std::string& stop : stops_) keep = std::max(keep, partial_suffix(held_, stop));
  match.text = held_.substr(0, held_.size() - keep);
  held_.erase(0, held_.size() - keep);
  return match;
}

std::string StopMatcher::finish() { return std::exchange(held_, {}); }

}  // namespace gallop::text
