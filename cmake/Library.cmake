# mugato::core   LibTorch and header-only libraries: tokens, sequences, models, training
# mugato::mugato all of it: text, worlds, data, acting
#
# The rooms of each, by what they see of LibTorch: tensors alone, or modules too. Each kind has its precompiled header.
set(_core_tensors core token seq)
set(_core_modules nn optim dist train)
set(_tensors text env data)
set(_modules act run)

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
  target_compile_options(mugato_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -O1 -g1)
  target_link_options(mugato_flags INTERFACE -fsanitize=address,undefined)
  # What the fuzzers of tests/fuzz are guided by; only Clang has it.
  target_compile_options(mugato_flags INTERFACE $<$<CXX_COMPILER_ID:Clang>:-fsanitize=fuzzer-no-link>)
  # Sanitized, g++ 12 takes std::optional<at::Generator>() in LibTorch's headers for uninitialised.
  target_compile_options(mugato_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
endif()

mugato_sources(_files ${_core_tensors})
add_library(mugato_core_tensors OBJECT ${_files})
target_include_directories(mugato_core_tensors PRIVATE ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(mugato_core_tensors PRIVATE mugato_torch mugato_flags)
target_precompile_headers(mugato_core_tensors PRIVATE ${CMAKE_SOURCE_DIR}/src/pch.h)

# Its definitions are not the precompiled header's.
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/core/version.cpp PROPERTIES SKIP_PRECOMPILE_HEADERS ON
  COMPILE_DEFINITIONS "MUGATO_VERSION=\"${PROJECT_VERSION}\";$<$<BOOL:${MUGATO_TORCH_NCCL}>:MUGATO_NCCL>")

# How gradients travel: by gloo, whose headers are Debian's and whose code is in LibTorch, and by NCCL. Both define what their
# headers ask for, so neither takes the precompiled header.
find_path(MUGATO_GLOO_INCLUDE gloo/context.h)
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/dist/gloo.cpp PROPERTIES SKIP_PRECOMPILE_HEADERS ON
  COMPILE_DEFINITIONS "$<$<BOOL:${MUGATO_GLOO_INCLUDE}>:MUGATO_GLOO=1;USE_DISTRIBUTED;USE_C10D_GLOO>")
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/dist/nccl.cpp PROPERTIES SKIP_PRECOMPILE_HEADERS ON
  COMPILE_DEFINITIONS "$<$<BOOL:${MUGATO_TORCH_NCCL}>:MUGATO_NCCL=1;USE_DISTRIBUTED;USE_C10D_NCCL>")
message(STATUS "several processes: gloo: ${MUGATO_GLOO_INCLUDE}, NCCL: ${MUGATO_TORCH_NCCL}")

mugato_sources(_files ${_core_modules})
add_library(mugato_core STATIC ${_files} $<TARGET_OBJECTS:mugato_core_tensors>)
add_library(mugato::core ALIAS mugato_core)
set_target_properties(mugato_core PROPERTIES EXPORT_NAME core)
target_compile_features(mugato_core PUBLIC cxx_std_20)
target_include_directories(mugato_core PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
# What is not installed with us has its name of mugatoConfig.cmake there.
target_link_libraries(mugato_core PUBLIC $<BUILD_INTERFACE:mugato_torch> $<INSTALL_INTERFACE:mugato::torch>
                                  PRIVATE $<BUILD_INTERFACE:mugato_flags>)
target_precompile_headers(mugato_core PRIVATE ${CMAKE_SOURCE_DIR}/src/pch_nn.h)
# Its loops over a few vectors have to be unrolled whole to stay in registers; other flags than the precompiled header's.
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/nn/packed_attention_cpu.cpp PROPERTIES COMPILE_OPTIONS -O3 SKIP_PRECOMPILE_HEADERS ON)

set(MUGATO_CUDA ${MUGATO_TORCH_CUDA})  # whether CUDA libraries are linked and .cu files compiled
if(MUGATO_TORCH_SITE)
  get_filename_component(MUGATO_TORCH_SITE_FULL ${MUGATO_TORCH_SITE} ABSOLUTE)
  set(_cuda_headers ${MUGATO_TORCH_SITE_FULL}/nvidia/cu13)
endif()
if(MUGATO_CUDA)
  # nvcc is called directly: the wheels carry a compiler but not the whole toolkit that enable_language(CUDA) probes for. The
  # wheels' own comes first, it is the one of their headers.
  find_program(MUGATO_NVCC nvcc HINTS ${_cuda_headers}/bin PATHS /usr/local/cuda/bin)
  if(NOT MUGATO_NVCC)
    message(FATAL_ERROR "LibTorch has CUDA but there is no nvcc\nhint: run tools/setup --cuda, or take a LibTorch without CUDA: tools/setup --cpu")
  endif()
  target_compile_definitions(mugato_flags INTERFACE MUGATO_CUDA)
  file(GLOB_RECURSE _cu CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/*.cu)
  set(MUGATO_CUDA_ARCH all-major CACHE STRING "nvcc -arch=")
  foreach(_file ${_cu})
    cmake_path(RELATIVE_PATH _file BASE_DIRECTORY ${CMAKE_SOURCE_DIR}/src OUTPUT_VARIABLE _name)
    string(REPLACE "/" "_" _name ${_name})
    add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/cuda/${_name}.o DEPENDS ${_file} DEPFILE ${CMAKE_BINARY_DIR}/cuda/${_name}.d
      COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/cuda
      COMMAND ${MUGATO_NVCC} -c -MD -MF ${CMAKE_BINARY_DIR}/cuda/${_name}.d -std=c++17 -O3 -arch=${MUGATO_CUDA_ARCH} -Xcompiler -fPIC,-Wall,-Wextra -Werror all-warnings
              -Wno-deprecated-gpu-targets -I${CMAKE_SOURCE_DIR}/include "$<$<BOOL:${_cuda_headers}>:-I${_cuda_headers}/include>" ${_file}
              -o ${CMAKE_BINARY_DIR}/cuda/${_name}.o
      COMMENT "nvcc ${_name}" VERBATIM COMMAND_EXPAND_LISTS)
    target_sources(mugato_core PRIVATE ${CMAKE_BINARY_DIR}/cuda/${_name}.o)
  endforeach()
endif()
message(STATUS "LibTorch: ${MUGATO_TORCH_SITE_FULL}${Torch_DIR}, CUDA: ${MUGATO_CUDA} ${MUGATO_NVCC}")

mugato_sources(_files ${_tensors})
add_library(mugato_tensors OBJECT ${_files})
target_include_directories(mugato_tensors PRIVATE ${CMAKE_SOURCE_DIR}/include)
set(_libraries opencv sentencepiece hdf5 archive av arrow)
set(_linked ${_libraries})
list(TRANSFORM _linked PREPEND mugato_)
target_link_libraries(mugato_tensors PRIVATE mugato_torch mugato_flags JPEG::JPEG PNG::PNG ZLIB::ZLIB ${_linked})
foreach(_name HDF5 ARCHIVE AV ARROW)
  target_compile_definitions(mugato_tensors PRIVATE MUGATO_${_name}=$<BOOL:${MUGATO_${_name}}>)
endforeach()
target_precompile_headers(mugato_tensors REUSE_FROM mugato_core_tensors)

mugato_sources(_files ${_modules})
add_library(mugato STATIC ${_files} $<TARGET_OBJECTS:mugato_tensors>)
add_library(mugato::mugato ALIAS mugato)
target_link_libraries(mugato PUBLIC mugato_core PRIVATE $<BUILD_INTERFACE:mugato_flags> GIF::GIF JPEG::JPEG PNG::PNG ZLIB::ZLIB)
foreach(_target ${_libraries})
  target_link_libraries(mugato PRIVATE $<BUILD_INTERFACE:mugato_${_target}> $<INSTALL_INTERFACE:mugato::${_target}>)
endforeach()
target_precompile_headers(mugato REUSE_FROM mugato_core)

# cmake --install and find_package(mugato): cmake/mugatoConfig.cmake.in says what a user of the library gets.
include(CMakePackageConfigHelpers)
set(_package ${CMAKE_INSTALL_LIBDIR}/cmake/mugato)
set(MUGATO_INSTALL_DATA ${CMAKE_INSTALL_DATADIR}/mugato)
install(TARGETS mugato_core mugato EXPORT mugatoTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT mugatoTargets NAMESPACE mugato:: DESTINATION ${_package})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/mugato DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/data/tokenizers DESTINATION ${MUGATO_INSTALL_DATA})
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/mugatoConfig.cmake.in ${CMAKE_BINARY_DIR}/mugatoConfig.cmake
                              INSTALL_DESTINATION ${_package} PATH_VARS MUGATO_INSTALL_DATA)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/mugatoConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/mugatoConfig.cmake ${CMAKE_BINARY_DIR}/mugatoConfigVersion.cmake
              ${CMAKE_SOURCE_DIR}/cmake/LibTorch.cmake ${CMAKE_SOURCE_DIR}/cmake/Dependencies.cmake
              ${CMAKE_SOURCE_DIR}/cmake/Formats.cmake DESTINATION ${_package})
