# SPDX-License-Identifier: BSD-3-Clause
# What `cmake --install` puts where. Components: lib (to run), dev (to build against), tools, doc.
# Everything is relocatable: the packages find their prefix from where they are.
include(CMakePackageConfigHelpers)

file(GLOB public_headers CONFIGURE_DEPENDS include/stele/*.h)
install(FILES ${public_headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/stele COMPONENT dev)
install(TARGETS stele_shared stele_static EXPORT steleTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT lib NAMELINK_COMPONENT dev
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/stele)
install(EXPORT steleTargets NAMESPACE stele:: DESTINATION ${package_dir} COMPONENT dev)
configure_package_config_file(cmake/steleConfig.cmake.in ${PROJECT_BINARY_DIR}/steleConfig.cmake
                              INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/steleConfigVersion.cmake
                                 VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/steleConfig.cmake ${PROJECT_BINARY_DIR}/steleConfigVersion.cmake
        DESTINATION ${package_dir} COMPONENT dev)

# pkg-config: how many ../ lead to the prefix depends on the library directory (lib, or lib/x86_64-linux-gnu).
# An absolute library directory (distributions that pass full paths) leaves nothing to compute.
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
foreach(dir LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
    set(pc_${dir} "${CMAKE_INSTALL_${dir}}")
  else()
    set(pc_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
  endif()
endforeach()
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
  file(RELATIVE_PATH pc_up "/prefix/${pc_dir}" "/prefix")
  string(REGEX REPLACE "/$" "" pc_up "${pc_up}")
  set(pc_prefix "\${pcfiledir}/${pc_up}")
endif()
configure_file(cmake/stele.pc.in ${PROJECT_BINARY_DIR}/stele.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/stele.pc DESTINATION ${pc_dir} COMPONENT dev)

foreach(page IN LISTS man_pages)
  string(REGEX MATCH "[0-9]$" section ${page})
  set(component dev)
  if(section STREQUAL "1")
    set(component tools)
  endif()
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT ${component})
endforeach()

install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT doc)
foreach(document README.md CHANGELOG.md docs/format.md docs/durability.md)
  install(FILES ${document} DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT doc OPTIONAL)
endforeach()

if(TARGET stele)
  install(TARGETS stele RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
endif()
