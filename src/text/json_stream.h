// A JSON value that comes in character by character and goes out as JSON with Python's separators,
// so early that what came out can still be closed to a valid value at any time. Mended on the way,
// because models write it: raw control characters, unknown escapes and half surrogates in strings,
// True, False and None, a last comma too many, numbers beyond a double (they become strings). No
// more: the first character that fits nowhere stops it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gallop::text {

class JsonStream {
 public:
  enum class Status {
    kMore,        // taken
    kDone,        // taken; the value is complete
    kDoneBefore,  // not taken; the value was complete before it (a number or a word)
    kBad          // not taken
  };
  Status feed(char c);

  // What has come out since the last call.
  std::string take_output() { return std::exchange(output_, {}); }
  // What went in and is not in the output yet: a key without a value, half an escape, a number or a
  // word.
  std::string pending() const;
  // Ends the value here, without what is pending unless that is whole by itself: nothing is in it
  // that did not come in. The rest of the output; empty where nothing has begun.
  std::string close();

 private:
  static constexpr size_t kMaxDepth =
      128;  // deeper than tools' arguments are, and readable for all

  enum class Expect { kValue, kValueOrEnd, kKey, kKeyOrEnd, kColon, kCommaOrEnd, kNothing };
  struct Level {
    bool object;
    bool empty;
  };

  Status structure_char(char c);
  Status open(char c);
  Status end_level(char c);
  Status string_char(char c);
  Status end_string();
  bool take_escape();
  bool emit_word();
  void begin_value();
  void end_value();
  Status status() const { return expect_ == Expect::kNothing ? Status::kDone : Status::kMore; }

  std::string output_;
  std::vector<Level> levels_;
  Expect expect_ = Expect::kValue;
  bool in_string_ = false;
  bool is_key_ = false;
  std::string key_;      // with its quotes; in the output once its value begins
  std::string raw_key_;  // as it came, and its colon
  std::string escape_;   // from the backslash on
  std::string word_;     // a number or a name
};

}  // namespace gallop::text
