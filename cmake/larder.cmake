# add_module(NAME SOURCES a.cc... [DEPS module...] [LIBS library...] [TESTS a_test.cc...])
#
# Makes the static library larder_NAME with the project's warnings, and, when there are tests, the
# program larder_NAME_test, registered with CTest under the label "unit".
# DEPS are other modules (their headers become visible too), LIBS are foreign libraries.

find_package(Threads REQUIRED)

add_library(larder_options INTERFACE)
target_include_directories(larder_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(larder_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wthread-safety -Werror
  -fno-omit-frame-pointer -fstack-protector-strong)
target_compile_definitions(larder_options INTERFACE LARDER_VERSION="${PROJECT_VERSION}")
target_link_options(larder_options INTERFACE -fuse-ld=lld-19)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  # OpenSSL linked into the program costs 7 % less for small answers over TLS. Its symbols stay hidden, because libcurl
  # brings the shared library. A security fix of OpenSSL needs a new build: docs/threat_model.md.
  set(OPENSSL_USE_STATIC_LIBS ON)
  target_link_options(larder_options INTERFACE
    -Wl,--exclude-libs,ALL -Wl,--thinlto-cache-dir=${CMAKE_BINARY_DIR}/lto-cache)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
  target_compile_options(larder_options INTERFACE -D_FORTIFY_SOURCE=2)
  target_link_options(larder_options INTERFACE -Wl,-z,relro,-z,now)
endif()
if(LARDER_SANITIZE)
  target_compile_options(larder_options INTERFACE
    -fsanitize=${LARDER_SANITIZE} -fno-sanitize-recover=all -gline-tables-only)
  target_link_options(larder_options INTERFACE -fsanitize=${LARDER_SANITIZE})
endif()

if(LARDER_TESTS)
  find_package(GTest REQUIRED)
endif()

# A third of what a test costs to compile is <gtest/gtest.h>. Without the time in it, ccache can tell that it is the same.
if(LARDER_TESTS AND LARDER_PRECOMPILE)
  file(CONFIGURE OUTPUT gtest_precompiled.cc CONTENT "")
  add_library(larder_gtest OBJECT ${CMAKE_CURRENT_BINARY_DIR}/gtest_precompiled.cc)
  target_link_libraries(larder_gtest PRIVATE larder_options Threads::Threads GTest::gtest)
  target_compile_options(larder_gtest PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  target_precompile_headers(larder_gtest PRIVATE <gtest/gtest.h>)
endif()

function(add_module name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;LIBS;TESTS" ${ARGN})
  add_library(larder_${name} STATIC ${arg_SOURCES})
  add_library(larder::${name} ALIAS larder_${name})
  target_link_libraries(larder_${name} PUBLIC larder_options Threads::Threads)
  foreach(dep ${arg_DEPS})
    target_link_libraries(larder_${name} PUBLIC larder::${dep})
  endforeach()
  target_link_libraries(larder_${name} PUBLIC ${arg_LIBS})
  if(arg_TESTS AND LARDER_TESTS)
    add_executable(larder_${name}_test ${arg_TESTS})
    target_link_libraries(larder_${name}_test PRIVATE larder_${name} GTest::gtest GTest::gtest_main)
    if(LARDER_PRECOMPILE)
      target_precompile_headers(larder_${name}_test REUSE_FROM larder_gtest)
      set_target_properties(larder_${name}_test PROPERTIES CXX_COMPILER_LAUNCHER
        "env;CCACHE_SLOPPINESS=pch_defines,time_macros;${CMAKE_CXX_COMPILER_LAUNCHER}")
    endif()
    add_test(NAME unit.${name} COMMAND larder_${name}_test)
    set_tests_properties(unit.${name} PROPERTIES LABELS unit TIMEOUT 300)
  endif()
endfunction()
