# Build rules shared by every folder: one library per folder, static MLIR, TableGen in small pieces.

# Debian's dnnl-config.cmake asks for OpenCL headers that the CPU engine does not need.
find_library(DNNL_LIBRARY dnnl REQUIRED)
find_path(DNNL_INCLUDE_DIR dnnl.hpp REQUIRED)
find_program(FLATC flatc REQUIRED)
find_path(PROTOZERO_INCLUDE_DIR protozero/pbf_reader.hpp REQUIRED)
find_path(TOML_INCLUDE_DIR toml++/toml.h REQUIRED)
find_path(XTENSOR_INCLUDE_DIR xtensor/xnpy.hpp REQUIRED)
find_package(Threads REQUIRED)

set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)

# Both the source and the binary root are include roots; LLVM's headers are not ours to warn about.
include_directories(${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR} ${PROJECT_BINARY_DIR}/include)
include_directories(SYSTEM ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS} ${PROTOZERO_INCLUDE_DIR} ${XTENSOR_INCLUDE_DIR})
# libstdc++ 12 marks the buffer that its own stable_sort uses as deprecated; clang reports it at our calls.
add_compile_options(-Wno-deprecated-declarations)
add_compile_options(-fno-rtti -ffunction-sections -fdata-sections -Wall -Wextra -Wno-unused-parameter
                    -ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)
add_compile_definitions(ANEMLIR_VERSION="${PROJECT_VERSION}")
add_link_options(-Wl,--gc-sections)
if(ANEMLIR_ENABLE_ASSERTIONS)
  string(REPLACE "-DNDEBUG" "" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")
endif()
if(ANEMLIR_SANITIZERS)
  # Debian's LLVM is built without RTTI, so vptr checks cannot link.
  add_compile_options(-fsanitize=${ANEMLIR_SANITIZERS} -fno-sanitize=vptr,function -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${ANEMLIR_SANITIZERS})
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    add_compile_options(-fsanitize-ignorelist=${PROJECT_SOURCE_DIR}/tools/cmake/Sanitizers.ignore)
  endif()
endif()

# Debian's imported MLIR targets name the shared libLLVM in their interface. A tool that loads it starts in
# 10 ms instead of 2 ms, so the static archives are named instead (see README, "Start-up").
if(NOT ANEMLIR_SHARED_MLIR)
  foreach(target ${MLIR_EXPORTED_TARGETS} ${MLIR_ALL_LIBS} MLIRTableGen MLIROptLib MLIRLspServerLib MLIRReduceLib MLIRReduce MLIRTranslateLib)
    if(TARGET ${target})
      get_target_property(deps ${target} INTERFACE_LINK_LIBRARIES)
      if(deps)
        list(TRANSFORM deps REPLACE "^LLVM$" "LLVMSupport")
        set_target_properties(${target} PROPERTIES INTERFACE_LINK_LIBRARIES "${deps}")
      endif()
    endif()
  endforeach()
endif()

# A compiler cache can only keep what does not hold the time of day.
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")
endif()

# MLIR's headers, parsed once for all libraries and tools.
add_library(ANEMLIRPrecompiled STATIC ${PROJECT_SOURCE_DIR}/tools/cmake/Precompiled.cpp)
target_precompile_headers(ANEMLIRPrecompiled PRIVATE ${PROJECT_SOURCE_DIR}/tools/cmake/Precompiled.h)

# ane_library(NAME [SOURCES file...] [DEPENDS target...] [LINK lib...]): one static library, from the .cpp files of the current folder
# unless SOURCES names others.
function(ane_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LINK" ${ARGN})
  if(NOT ARG_SOURCES)
    file(GLOB ARG_SOURCES CONFIGURE_DEPENDS *.cpp)
  endif()
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  target_include_directories(${name} INTERFACE $<INSTALL_INTERFACE:include>)
  install(TARGETS ${name} EXPORT ANEMLIRTargets ARCHIVE DESTINATION lib)
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
  target_precompile_headers(${name} REUSE_FROM ANEMLIRPrecompiled)
endfunction()

# ane_compile_with(FILE.cpp... OPTIONS option...): files of the current folder with options that make them other than the precompiled
# headers.
function(ane_compile_with)
  cmake_parse_arguments(ARG "" "" "OPTIONS" ${ARGN})
  set_property(SOURCE ${ARG_UNPARSED_ARGUMENTS} APPEND PROPERTY COMPILE_OPTIONS ${ARG_OPTIONS})
  set_property(SOURCE ${ARG_UNPARSED_ARGUMENTS} PROPERTY SKIP_PRECOMPILE_HEADERS ON)
endfunction()

# ane_thread_local(FILE.cpp...): files of the current folder that have variables of a thread or use std::call_once, which has; code
# for executables addresses them in a way that a shared library (the Python extension) must not.
function(ane_thread_local)
  if(NOT CMAKE_POSITION_INDEPENDENT_CODE)
    ane_compile_with(${ARGN} OPTIONS -fPIC)
  endif()
endfunction()

# ane_generated(FILE.cpp...): mostly what mlir-tblgen made. It computes nothing, and inlining it took the compiler long.
function(ane_generated)
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS -mllvm -inline-threshold=0)
  endif()
endfunction()

# ane_tool(NAME [FUNCTION name] [LINK lib...]): an executable in build/bin. With FUNCTION it is one of tools/Tools.h, which the Python
# package has as a command, too: its objects are NAME-objects.
function(ane_tool name)
  cmake_parse_arguments(ARG "" "FUNCTION" "SOURCES;LINK" ${ARGN})
  if(NOT ARG_SOURCES)
    set(ARG_SOURCES ${name}.cpp)
  endif()
  if(ARG_FUNCTION)
    add_library(${name}-objects OBJECT ${ARG_SOURCES})
    target_link_libraries(${name}-objects PRIVATE ${ARG_LINK})
    target_precompile_headers(${name}-objects REUSE_FROM ANEMLIRPrecompiled)
    set(function ${ARG_FUNCTION})
    configure_file(${PROJECT_SOURCE_DIR}/tools/cmake/ToolMain.cpp.in ${name}-main.cpp @ONLY)
    set(ARG_SOURCES ${CMAKE_CURRENT_BINARY_DIR}/${name}-main.cpp $<TARGET_OBJECTS:${name}-objects>)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  target_precompile_headers(${name} REUSE_FROM ANEMLIRPrecompiled)
  install(TARGETS ${name} RUNTIME DESTINATION bin)
endfunction()

# ane_tablegen(TARGET TOOL file.td  out.inc=-gen-flag[ more flags]...): each output is its own command, so they build in parallel.
function(ane_tablegen target tool td)
  set(outs)
  if(tool STREQUAL "ane-tblgen")
    set(exe $<TARGET_FILE:ane-tblgen>)
    set(dep ane-tblgen)
  else()
    set(exe ${MLIR_TABLEGEN_EXE})
    set(dep)
  endif()
  foreach(pair ${ARGN})
    string(REGEX MATCH "^([^=]+)=(.*)$" _ "${pair}")
    set(out ${CMAKE_CURRENT_BINARY_DIR}/${CMAKE_MATCH_1})
    separate_arguments(flags UNIX_COMMAND "${CMAKE_MATCH_2}")
    add_custom_command(OUTPUT ${out}
      COMMAND ${exe} ${flags} -I ${PROJECT_SOURCE_DIR} -I ${PROJECT_SOURCE_DIR}/include -I ${MLIR_INCLUDE_DIRS} -I ${CMAKE_CURRENT_SOURCE_DIR}
              ${CMAKE_CURRENT_SOURCE_DIR}/${td} --write-if-changed -o ${out} -d ${out}.d
      DEPFILE ${out}.d DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${td} ${dep})
    list(APPEND outs ${out})
  endforeach()
  add_custom_target(${target} DEPENDS ${outs})
endfunction()
