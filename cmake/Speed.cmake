# Cheap builds: ccache where it is found, and lld, which links LibTorch programs several times faster than GNU ld.
find_program(MUGATO_CCACHE ccache)
if(MUGATO_CCACHE)
  # A precompiled header needs these, or every lookup misses.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=true ${MUGATO_CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
  else()
    add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")
  endif()
endif()
find_program(MUGATO_LLD ld.lld)
if(MUGATO_LLD)
  add_link_options(-fuse-ld=lld)
endif()
