# Language, warnings, sanitizers. Portable x86-64 or aarch64: instruction sets are chosen at run time.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(GALLOP_CCACHE ccache)
if(GALLOP_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${GALLOP_CCACHE})
endif()

# -ffp-contract=off: a product and a sum are fused only where the code says fma, so that bits do not
# depend on what the optimiser saw.
add_compile_options(-ffp-contract=off -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options(-Wno-restrict)  # GCC 12 warns inside std::string operator+ (GCC bug 105651)
endif()
# Instrumented builds are left out: sanitizers make the compilers' flow warnings unreliable, also
# inside Boost's headers; the release build compiles the same files.
if("$ENV{CI}" STREQUAL "true" AND GALLOP_SANITIZE STREQUAL "")
  add_compile_options(-Werror)
endif()

if(NOT GALLOP_SANITIZE STREQUAL "")
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")  # builds in half the time; reports keep their lines
endif()
if(GALLOP_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(GALLOP_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
elseif(NOT GALLOP_SANITIZE STREQUAL "")
  message(FATAL_ERROR "GALLOP_SANITIZE is '${GALLOP_SANITIZE}'; it must be address, thread or empty")
endif()

if(GALLOP_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "GALLOP_FUZZ needs clang (libFuzzer); the compiler is ${CMAKE_CXX_COMPILER_ID}")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# The CUDA backend takes its place under src/ops/cuda and in each op's folder.
if(GALLOP_CUDA)
  message(FATAL_ERROR "GALLOP_CUDA: this version has the CPU backend only")
endif()
