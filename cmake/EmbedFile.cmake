# gallop_embed(out FILE path SYMBOL name): generates at build time a C++ source that defines
# `const std::string_view gallop::name` with the file's bytes, and sets `out` to its path.
#
# The same file is the script that writes the source: cmake -DINPUT= -DOUTPUT= -DSYMBOL= -P.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ "${INPUT}" bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "(................................................................................)"
         "\\1\n" bytes "${bytes}")
  get_filename_component(name "${INPUT}" NAME)
  file(WRITE "${OUTPUT}" "// Generated from ${name}.
#include <string_view>

namespace gallop {
extern const std::string_view ${SYMBOL};
static const unsigned char kBytes[] = {
${bytes}};
const std::string_view ${SYMBOL}(reinterpret_cast<const char*>(kBytes), sizeof kBytes);
}  // namespace gallop
")
  return()
endif()

set(GALLOP_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

function(gallop_embed out)
  cmake_parse_arguments(ARG "" "FILE;SYMBOL" "" ${ARGN})
  get_filename_component(input "${ARG_FILE}" ABSOLUTE)
  get_filename_component(name "${ARG_FILE}" NAME_WE)
  set(output "${CMAKE_CURRENT_BINARY_DIR}/${name}_embedded.cc")
  add_custom_command(
    OUTPUT "${output}"
    COMMAND ${CMAKE_COMMAND} -DINPUT=${input} -DOUTPUT=${output} -DSYMBOL=${ARG_SYMBOL}
            -P ${GALLOP_EMBED_SCRIPT}
    DEPENDS "${input}" "${GALLOP_EMBED_SCRIPT}"
    VERBATIM)
  set(${out} "${output}" PARENT_SCOPE)
endfunction()
