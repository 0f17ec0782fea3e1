# Libraries that single data formats need. Each is optional: where one is missing, the names of its sources stay known and
# their use is an error that says what to install. For every NAME below:
#   MUGATO_<NAME>          ON or OFF, whether it was found; our code gets a definition of the same name, 1 or 0
#   mugato_<name>          the target to link, empty when it was not found
# Arrow and Parquet are those of the pyarrow wheel that tools/setup unpacked into MUGATO_ARROW_SITE (default: .deps/arrow).
# The file is also installed, so that find_package(mugato) finds the same libraries again.
if(TARGET mugato_hdf5)
  return()
endif()

add_library(mugato_hdf5 INTERFACE)
find_path(MUGATO_HDF5_INCLUDE hdf5.h PATH_SUFFIXES hdf5/serial)
find_library(MUGATO_HDF5_LIBRARY NAMES hdf5_serial hdf5)

add_library(mugato_archive INTERFACE)
find_path(MUGATO_ARCHIVE_INCLUDE archive.h)
find_library(MUGATO_ARCHIVE_LIBRARY archive)

add_library(mugato_av INTERFACE)
find_path(MUGATO_AV_INCLUDE libavformat/avformat.h)
foreach(_part avformat avcodec avutil swscale)
  find_library(MUGATO_AV_${_part} ${_part})
  list(APPEND MUGATO_AV_LIBRARY ${MUGATO_AV_${_part}})
endforeach()

add_library(mugato_arrow INTERFACE)
if(NOT MUGATO_ARROW_SITE AND EXISTS ${CMAKE_SOURCE_DIR}/.deps/arrow/.complete)
  set(MUGATO_ARROW_SITE ${CMAKE_SOURCE_DIR}/.deps/arrow)
endif()
file(GLOB MUGATO_ARROW_LIBRARY ${MUGATO_ARROW_SITE}/pyarrow/libarrow.so.* ${MUGATO_ARROW_SITE}/pyarrow/libparquet.so.*)
find_path(MUGATO_ARROW_INCLUDE arrow/api.h PATHS ${MUGATO_ARROW_SITE}/pyarrow/include NO_DEFAULT_PATH)
if(MUGATO_ARROW_LIBRARY)
  target_link_options(mugato_arrow INTERFACE "LINKER:-rpath,${MUGATO_ARROW_SITE}/pyarrow")
endif()

foreach(_name HDF5 ARCHIVE AV ARROW)
  string(TOLOWER ${_name} _target)
  set(MUGATO_${_name} OFF)
  if(MUGATO_${_name}_INCLUDE AND MUGATO_${_name}_LIBRARY AND NOT "${MUGATO_${_name}_LIBRARY}" MATCHES "NOTFOUND")
    set(MUGATO_${_name} ON)
    target_include_directories(mugato_${_target} SYSTEM INTERFACE ${MUGATO_${_name}_INCLUDE})
    target_link_libraries(mugato_${_target} INTERFACE ${MUGATO_${_name}_LIBRARY})
  endif()
endforeach()
message(STATUS "Formats: HDF5 ${MUGATO_HDF5}, archives ${MUGATO_ARCHIVE}, video ${MUGATO_AV}, Arrow and Parquet ${MUGATO_ARROW}")
