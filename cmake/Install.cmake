# `cmake --install`: the program, its licence, and the notices of what is linked into it. A notice is
# the copyright file of the Debian package that the header or library came from.
if(TARGET gallop)
  install(TARGETS gallop RUNTIME DESTINATION bin)
  install(FILES LICENSE THIRD_PARTY.md DESTINATION share/doc/gallop)
  foreach(package libboost1.81-dev libboost1.83-dev nlohmann-json3-dev libcli11-dev libspdlog-dev
                  libfmt-dev libhwy-dev libutf8proc-dev libpcre2-dev libstdc++6)
    if(EXISTS /usr/share/doc/${package}/copyright)
      install(FILES /usr/share/doc/${package}/copyright DESTINATION share/doc/gallop/third-party
              RENAME ${package})
    endif()
  endforeach()
endif()
