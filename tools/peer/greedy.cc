// Greedy ids from llama.cpp, to prove that a converted file holds the same model: `greedy MODEL`
// reads lines `COUNT ID ID ...` and answers each with the COUNT ids that follow by argmax, end
// tokens included. Ties go to the lowest id.
#include <llama.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr uint32_t kContextTokens = 2048;

struct Deleter {
  void operator()(llama_model* model) const { llama_model_free(model); }
  void operator()(llama_context* context) const { llama_free(context); }
};

// The argmax after `tokens`, which continue what the context has seen; -1 when llama.cpp fails.
llama_token next(llama_context* context, std::vector<llama_token> tokens, int32_t vocab) {
  const llama_batch batch = llama_batch_get_one(tokens.data(), static_cast<int32_t>(tokens.size()));
  if (llama_decode(context, batch) != 0) return -1;
  const float* logits = llama_get_logits_ith(context, -1);
  return static_cast<llama_token>(std::max_element(logits, logits + vocab) - logits);
}

bool answer(llama_context* context, const std::string& line, int32_t vocab) {
  std::istringstream words(line);
  int count = 0;
  words >> count;
  std::vector<llama_token> prompt;
  for (llama_token id = 0; words >> id;) prompt.push_back(id);
  if (prompt.empty() || !words.eof()) {
    std::cerr << "greedy: expected COUNT ID ID ..., found: " << line << '\n';
    return false;
  }
  llama_memory_clear(llama_get_memory(context), true);
  for (int i = 0; i < count; ++i) {
    const llama_token id = next(context, prompt, vocab);
    if (id < 0) return false;
    std::cout << id << ' ';
    prompt = {id};
  }
  std::cout << '\n' << std::flush;
  return true;
}

void print_errors(ggml_log_level level, const char* text, void*) {
  if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: greedy MODEL < lines\n";
    return 2;
  }
  llama_log_set(print_errors, nullptr);
  llama_backend_init();
  const std::unique_ptr<llama_model, Deleter> model(
      llama_model_load_from_file(argv[1], llama_model_default_params()));
  if (model == nullptr) return 1;
  llama_context_params params = llama_context_default_params();
  params.n_ctx = kContextTokens;
  params.n_threads = params.n_threads_batch = 1;
  const std::unique_ptr<llama_context, Deleter> context(llama_init_from_model(model.get(), params));
  if (context == nullptr) return 1;
  const int32_t vocab = llama_vocab_n_tokens(llama_model_get_vocab(model.get()));
  for (std::string line; std::getline(std::cin, line);) {
    if (!answer(context.get(), line, vocab)) return 1;
  }
  return 0;
}
