// Memory of a rendering, counted where it is allocated: whatever a template can make grow lives in
// these containers, so that nothing is left out of the limit. The rendering that runs on this
// thread pays (runtime.h), in memory and, by the bytes, in time; it ends with a TemplateError when
// it has no more. Outside a rendering, as for the constants of a template, nothing is counted.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace gallop::text::jinja {

void pay_memory(size_t bytes);
void return_memory(size_t bytes) noexcept;

template <typename T>
struct Metered {
  using value_type = T;

  Metered() = default;
  template <typename U>
  Metered(const Metered<U>&) {}

  T* allocate(size_t count) {
    pay_memory(count * sizeof(T));
    return std::allocator<T>().allocate(count);
  }
  void deallocate(T* pointer, size_t count) noexcept {
    return_memory(count * sizeof(T));
    std::allocator<T>().deallocate(pointer, count);
  }
  bool operator==(const Metered&) const = default;
};

using Text = std::basic_string<char, std::char_traits<char>, Metered<char>>;

template <typename T>
using List = std::vector<T, Metered<T>>;

template <typename T, typename... Arguments>
std::shared_ptr<T> make_metered(Arguments&&... arguments) {
  return std::allocate_shared<T>(Metered<T>(), std::forward<Arguments>(arguments)...);
}

}  // namespace gallop::text::jinja
