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

# Makes larder_NAME, whose precompiled HEADERS others start from. Without the time in them, ccache can tell that they are the
# same.
function(precompile name)
  cmake_parse_arguments(arg "" "" "HEADERS;LIBS" ${ARGN})
  file(CONFIGURE OUTPUT ${name}.cc CONTENT "")
  add_library(larder_${name} OBJECT ${CMAKE_CURRENT_BINARY_DIR}/${name}.cc)
  target_link_libraries(larder_${name} PRIVATE larder_options Threads::Threads ${arg_LIBS})
  target_compile_options(larder_${name} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  target_precompile_headers(larder_${name} PRIVATE ${arg_HEADERS})
endfunction()

function(use_precompiled target name)
  target_precompile_headers(${target} REUSE_FROM larder_${name})
  set_target_properties(${target} PROPERTIES CXX_COMPILER_LAUNCHER
    "env;CCACHE_SLOPPINESS=pch_defines,time_macros;${CMAKE_CXX_COMPILER_LAUNCHER}")
endfunction()

# A third of what a test costs to compile is <gtest/gtest.h>, a quarter of what a source costs are the common headers. The
# presets that compile sources without these keep their includes honest.
if(LARDER_PRECOMPILE)
  if(LARDER_TESTS)
    precompile(test_headers HEADERS <gtest/gtest.h> LIBS GTest::gtest)
  endif()
  if(LARDER_PRECOMPILE STREQUAL "all")
    find_package(nlohmann_json REQUIRED)
    precompile(common_headers
      HEADERS <algorithm> <array> <atomic> <charconv> <chrono> <coroutine> <deque> <expected> <filesystem> <functional> <map>
              <memory> <mutex> <optional> <set> <span> <string> <string_view> <thread> <unordered_map> <utility> <variant>
              <vector> <nlohmann/json.hpp>
      LIBS nlohmann_json::nlohmann_json)
  endif()
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
  if(LARDER_PRECOMPILE STREQUAL "all")
    use_precompiled(larder_${name} common_headers)
  endif()
  if(arg_TESTS AND LARDER_TESTS)
    add_executable(larder_${name}_test ${arg_TESTS})
    target_link_libraries(larder_${name}_test PRIVATE larder_${name} GTest::gtest GTest::gtest_main)
    if(LARDER_PRECOMPILE)
      use_precompiled(larder_${name}_test test_headers)
    endif()
    add_test(NAME unit.${name} COMMAND larder_${name}_test)
    set_tests_properties(unit.${name} PROPERTIES LABELS unit TIMEOUT 300)
  endif()
endfunction()
