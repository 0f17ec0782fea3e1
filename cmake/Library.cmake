# mugato::core   LibTorch and header-only libraries: tokens, sequences, models, training
# mugato::mugato all of it: text, worlds, data, acting
set(_core core token seq nn optim dist train)
set(_rest text env data act run)

function(mugato_sources out)
  set(all)
  foreach(room ${ARGN})
    file(GLOB_RECURSE files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${room}/*.cpp)
    list(APPEND all ${files})
  endforeach()
  set(${out} ${all} PARENT_SCOPE)
endfunction()

# Flags of our own code, not passed on to who links the library.
add_library(mugato_flags INTERFACE)
target_compile_options(mugato_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-missing-field-initializers $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow> $<$<BOOL:${MUGATO_WERROR}>:-Werror>)
if(MUGATO_SANITIZE)
  target_compile_options(mugato_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(mugato_flags INTERFACE -fsanitize=address,undefined)
endif()

mugato_sources(_core_files ${_core})
add_library(mugato_core STATIC ${_core_files})
add_library(mugato::core ALIAS mugato_core)
set_target_properties(mugato_core PROPERTIES EXPORT_NAME core)
target_include_directories(mugato_core PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(mugato_core PUBLIC mugato_torch PRIVATE $<BUILD_INTERFACE:mugato_flags>)
target_precompile_headers(mugato_core PRIVATE ${CMAKE_SOURCE_DIR}/src/pch.h)
# Its loops over a few vectors have to be unrolled whole to stay in registers; other flags than the precompiled header's.
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/nn/packed_attention_cpu.cpp PROPERTIES COMPILE_OPTIONS -O3 SKIP_PRECOMPILE_HEADERS ON)

if(MUGATO_CUDA)
  # nvcc is called directly: the wheels carry a compiler but not the whole toolkit that enable_language(CUDA) probes for.
  file(GLOB_RECURSE _cu CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/*.cu)
  set(MUGATO_CUDA_ARCH all-major CACHE STRING "nvcc -arch=")
  foreach(_file ${_cu})
    cmake_path(RELATIVE_PATH _file BASE_DIRECTORY ${CMAKE_SOURCE_DIR}/src OUTPUT_VARIABLE _name)
    string(REPLACE "/" "_" _name ${_name})
    add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/cuda/${_name}.o DEPENDS ${_file} DEPFILE ${CMAKE_BINARY_DIR}/cuda/${_name}.d
      COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/cuda
      COMMAND ${MUGATO_NVCC} -c -MD -MF ${CMAKE_BINARY_DIR}/cuda/${_name}.d -std=c++17 -O3 -arch=${MUGATO_CUDA_ARCH} -Xcompiler -fPIC,-Wall,-Wextra -Werror all-warnings
              -Wno-deprecated-gpu-targets -I${CMAKE_SOURCE_DIR}/include -I${MUGATO_TORCH_SITE}/nvidia/cu13/include ${_file}
              -o ${CMAKE_BINARY_DIR}/cuda/${_name}.o
      COMMENT "nvcc ${_name}" VERBATIM)
    target_sources(mugato_core PRIVATE ${CMAKE_BINARY_DIR}/cuda/${_name}.o)
  endforeach()
endif()

# By library and header: Debian's CMake package of OpenCV needs every module installed, we need three.
find_path(MUGATO_OPENCV_INCLUDE opencv2/core.hpp PATH_SUFFIXES opencv4 REQUIRED)
find_library(MUGATO_OPENCV_CORE opencv_core REQUIRED)
find_library(MUGATO_OPENCV_IMGPROC opencv_imgproc REQUIRED)
find_library(MUGATO_OPENCV_IMGCODECS opencv_imgcodecs REQUIRED)
find_package(GIF REQUIRED)
find_library(MUGATO_SENTENCEPIECE sentencepiece REQUIRED)
mugato_sources(_rest_files ${_rest})
add_library(mugato STATIC ${_rest_files})
add_library(mugato::mugato ALIAS mugato)
target_link_libraries(mugato PUBLIC mugato_core PRIVATE $<BUILD_INTERFACE:mugato_flags> ${MUGATO_SENTENCEPIECE} GIF::GIF
                      ${MUGATO_OPENCV_IMGCODECS} ${MUGATO_OPENCV_IMGPROC} ${MUGATO_OPENCV_CORE})
target_include_directories(mugato SYSTEM PRIVATE ${MUGATO_OPENCV_INCLUDE})
target_precompile_headers(mugato REUSE_FROM mugato_core)
