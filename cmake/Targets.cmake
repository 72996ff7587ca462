# gallop_library(name SOURCES ... DEPENDS folders... LINKS targets...): the static library of one
# folder under src/, which may link only folders below it.
function(gallop_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LINKS" ${ARGN})
  add_library(gallop_${name} STATIC ${ARG_SOURCES})
  target_include_directories(gallop_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_compile_definitions(gallop_${name} PUBLIC SPDLOG_FMT_EXTERNAL)
  list(TRANSFORM ARG_DEPENDS PREPEND gallop_)
  target_link_libraries(gallop_${name} PUBLIC ${ARG_DEPENDS} nlohmann_json::nlohmann_json
                        spdlog::spdlog_header_only ${ARG_LINKS})
endfunction()

# gallop_test(name SOURCES ... DEPENDS folders...): the unit tests of one folder, run by CTest.
function(gallop_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  if(GALLOP_FUZZ)
    return()
  endif()
  add_executable(${name}_test ${ARG_SOURCES})
  list(TRANSFORM ARG_DEPENDS PREPEND gallop_)
  target_link_libraries(${name}_test PRIVATE gallop_${name} ${ARG_DEPENDS} GTest::gtest_main)
  target_compile_definitions(${name}_test PRIVATE GALLOP_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  gtest_discover_tests(${name}_test TEST_PREFIX ${name}. PROPERTIES TIMEOUT 300 LABELS unit
                       DISCOVERY_TIMEOUT 60)
endfunction()

# gallop_fuzz(name SOURCES ... DEPENDS folders...): a libFuzzer target, built when GALLOP_FUZZ is on.
function(gallop_fuzz name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  if(NOT GALLOP_FUZZ)
    return()
  endif()
  add_executable(fuzz_${name} ${ARG_SOURCES})
  list(TRANSFORM ARG_DEPENDS PREPEND gallop_)
  target_link_libraries(fuzz_${name} PRIVATE ${ARG_DEPENDS})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endfunction()

include(GoogleTest)
