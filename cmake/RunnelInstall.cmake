# SPDX-License-Identifier: MIT
#
# What `cmake --install` puts where: headers, both libraries, runnel.pc, the CMake package, man pages.
include(CMakePackageConfigHelpers)

install(TARGETS ${libraries} EXPORT runnel-targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/runnel)
install(EXPORT runnel-targets NAMESPACE runnel:: DESTINATION ${package_dir})
configure_package_config_file(cmake/runnel-config.cmake.in runnel-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(runnel-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/runnel-config.cmake ${PROJECT_BINARY_DIR}/runnel-config-version.cmake
  DESTINATION ${package_dir})

# runnel.pc finds its prefix from its own place, so that the tree can be moved.
string(REGEX REPLACE "[^/]+" ".." up "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
set(pc_libs_private -pthread)
if(RUNNEL_CPU STREQUAL "riscv64")
  string(APPEND pc_libs_private " -latomic")
endif()
configure_file(runnel.pc.in runnel.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/runnel.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

foreach(section 1 3 7)
  file(GLOB pages CONFIGURE_DEPENDS man/*.${section})
  if(pages)
    install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
  endif()
endforeach()
