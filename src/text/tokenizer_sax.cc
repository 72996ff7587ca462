#include "text/tokenizer_sax.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

namespace gallop::text {
namespace {

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxKeys = 16'384;
constexpr size_t kMaxElements = 1'000'000;
constexpr size_t kMaxKeyCompares = 500'000'000;  // over all objects; about two seconds

class TokenizerSax : public nlohmann::json_sax<Json> {
 public:
  explicit TokenizerSax(TokenizerJson& out) : out_(out), tree_(out.tree, false) {}

  bool null() override {
    return scalar("null", [&] { return tree_.null(); });
  }
  bool boolean(bool value) override {
    return scalar("a boolean", [&] { return tree_.boolean(value); });
  }
  bool number_integer(number_integer_t value) override {
    return scalar(fmt::format("{}", value), [&] { return tree_.number_integer(value); });
  }
  bool number_float(number_float_t value, const string_t& text) override {
    return scalar(text, [&] { return tree_.number_float(value, text); });
  }
  bool binary(binary_t& value) override {
    return scalar("bytes", [&] { return tree_.binary(value); });
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::kVocabulary && value < static_cast<uint64_t>(kTokenIdLimit)) {
      out_.bpe.vocabulary.emplace_back(std::move(key_), static_cast<int32_t>(value));
      return true;
    }
    return scalar(fmt::format("{}", value), [&] { return tree_.number_unsigned(value); });
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMerges) return add_merge(value);
    if (place_ == Place::kMerge) {
      pair_.push_back(std::move(value));
      return pair_.size() <= 2 || refuse_merge("a list of more than two");
    }
    return scalar("a string", [&] { return tree_.string(value); });
  }

  bool key(string_t& name) override {
    if (place_ == Place::kVocabulary) {
      key_ = std::move(name);
      return true;
    }
    key_compares_ += keys_.back();
    if (++keys_.back() > kMaxKeys || key_compares_ > kMaxKeyCompares) {
      return refuse(fmt::format("too many keys: at most {} in an object, {} comparisons in all",
                                kMaxKeys, kMaxKeyCompares));
    }
    if (keys_.size() == 1) in_model_ = name == "model";
    key_ = name;
    return count() && tree_.key(name);
  }

  bool start_object(std::size_t size) override {
    if (at_model_key("vocab")) return enter(Place::kVocabulary, out_.has_vocabulary);
    if (place_ != Place::kTree) return scalar("an object", [] { return false; });
    return open() && tree_.start_object(size);
  }
  bool end_object() override {
    if (place_ == Place::kVocabulary) return leave(Place::kTree);
    keys_.pop_back();
    return tree_.end_object();
  }
  bool start_array(std::size_t size) override {
    if (at_model_key("merges")) return enter(Place::kMerges, out_.has_merges);
    if (place_ == Place::kMerges) {
      pair_.clear();
      return leave(Place::kMerge);
    }
    if (place_ != Place::kTree) return scalar("a list", [] { return false; });
    return open() && tree_.start_array(size);
  }
  bool end_array() override {
    if (place_ == Place::kMerge) {
      if (pair_.size() != 2) return refuse_merge(fmt::format("a list of {}", pair_.size()));
      out_.bpe.merges.emplace_back(std::move(pair_[0]), std::move(pair_[1]));
      return leave(Place::kMerges);
    }
    if (place_ == Place::kMerges) return leave(Place::kTree);
    keys_.pop_back();
    return tree_.end_array();
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    return refuse(json_syntax_error(position, error));
  }

  const std::string& message() const { return message_; }

 private:
  enum class Place { kTree, kVocabulary, kMerges, kMerge };

  bool refuse(std::string message) {
    if (message_.empty()) message_ = std::move(message);
    return false;
  }
  bool refuse_merge(std::string_view found) {
    return refuse(fmt::format("model.merges[{}]: expected \"a b\" or [\"a\", \"b\"], found {}",
                              out_.bpe.merges.size(), found));
  }
  bool count() {
    return ++elements_ <= kMaxElements ||
           refuse(fmt::format("more than {} JSON elements beside model.vocab and model.merges",
                              kMaxElements));
  }
  bool open() {
    keys_.push_back(0);
    return count() && (keys_.size() <= kMaxDepth ||
                       refuse(fmt::format("JSON is nested deeper than {} levels", kMaxDepth)));
  }
  bool leave(Place place) {
    place_ = place;
    return true;
  }
  bool at_model_key(std::string_view name) const {
    return place_ == Place::kTree && in_model_ && keys_.size() == 2 && key_ == name;
  }
  bool enter(Place place, bool& seen) {
    if (std::exchange(seen, true)) return refuse(fmt::format("model.{} is there twice", key_));
    place_ = place;
    return tree_.null();
  }
  // A value that belongs into the tree, and nowhere else.
  template <typename Add>
  bool scalar(std::string_view found, Add add) {
    if (place_ == Place::kVocabulary) {
      return refuse(fmt::format("model.vocab[\"{}\"]: expected an id from 0 to {}, found {}", key_,
                                kTokenIdLimit - 1, found));
    }
    if (place_ != Place::kTree) return refuse_merge(found);
    return count() && add();
  }
  // The older form "a b"; a first line "#version: ..." of merges.txt may have come along.
  bool add_merge(const std::string& text) {
    if (text.starts_with("#version")) return true;
    const size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
      return refuse_merge(fmt::format("\"{}\"", text));
    }
    out_.bpe.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
    return true;
  }

  TokenizerJson& out_;
  nlohmann::detail::json_sax_dom_parser<Json> tree_;
  Place place_ = Place::kTree;
  bool in_model_ = false;          // the last key of the root was "model"
  std::string key_;                // the last key
  std::vector<std::string> pair_;  // of the merge that is being read
  std::vector<size_t> keys_;       // keys seen so far, per open object or array of the tree
  size_t key_compares_ = 0;
  size_t elements_ = 0;
  std::string message_;
};

}  // namespace

Result<TokenizerJson> read_tokenizer_json(std::string_view text) {
  TokenizerJson out;
  TokenizerSax sax(out);
  if (!Json::sax_parse(text.begin(), text.end(), &sax)) return Error{sax.message()};
  return out;
}

}  // namespace gallop::text
