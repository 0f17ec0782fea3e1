# Debian's libraries that mugato::mugato links, as targets; installed too, so that find_package(mugato) finds them again.
if(TARGET mugato_opencv)
  return()
endif()

# By library and header: Debian's CMake package of OpenCV needs every module installed, we need three.
find_path(MUGATO_OPENCV_INCLUDE opencv2/core.hpp PATH_SUFFIXES opencv4 REQUIRED)
find_library(MUGATO_OPENCV_CORE opencv_core REQUIRED)
find_library(MUGATO_OPENCV_IMGPROC opencv_imgproc REQUIRED)
find_library(MUGATO_OPENCV_IMGCODECS opencv_imgcodecs REQUIRED)
add_library(mugato_opencv INTERFACE)
target_include_directories(mugato_opencv SYSTEM INTERFACE ${MUGATO_OPENCV_INCLUDE})
target_link_libraries(mugato_opencv INTERFACE ${MUGATO_OPENCV_IMGCODECS} ${MUGATO_OPENCV_IMGPROC} ${MUGATO_OPENCV_CORE})

find_library(MUGATO_SENTENCEPIECE sentencepiece REQUIRED)
find_library(MUGATO_SENTENCEPIECE_TRAIN sentencepiece_train REQUIRED)
add_library(mugato_sentencepiece INTERFACE)
target_link_libraries(mugato_sentencepiece INTERFACE ${MUGATO_SENTENCEPIECE_TRAIN} ${MUGATO_SENTENCEPIECE})

find_package(GIF REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(ZLIB REQUIRED)
