# SPDX-License-Identifier: MIT
#
# Programs made from tests/, examples/ and bench/, and their ctest entries.
#
# A test file's cases are read from its TEST lines (tests/test.h). Each is a ctest entry ROOM.CASE.pN, one
# process each, with a time-out, for each N of RUNNEL_TEST_PROCS; TEST_ONCE, TEST_GO_ONCE and TEST_GO_ALONE give one entry
# ROOM.CASE, the last one that nothing runs beside. The entry ROOM.cases fails when this reading and the program disagree, so that no case is lost.
# A case that cannot run here exits with 77 (SKIP in test.h) and is listed as skipped.
# Nothing is ever run again to make it pass.

set(RUNNEL_TEST_SCALE 100 CACHE STRING "Length of stress loops in percent")
set(RUNNEL_TEST_PROCS "1;2;8" CACHE STRING "Procs counts at which each case runs")
set(RUNNEL_TEST_TIMEOUT 60 CACHE STRING "Seconds for one case")
set(RUNNEL_TEST_ENV "" CACHE STRING "More environment for the tests, VAR=VALUE;...")
set(RUNNEL_TEST_ROOMS "" CACHE STRING "Only these test files (chan;select;...); empty: all")

# Compile and link options that every program here shares. The static library lets tests reach the inside; for
# an example (runnel_program(TARGET EXAMPLE)) either will do.
function(runnel_program target)
  set(library runnel_static)
  if("${ARGN}" STREQUAL EXAMPLE AND RUNNEL_EXAMPLES_SHARED)
    set(library runnel_shared)
  endif()
  target_link_libraries(${target} PRIVATE ${library} runnel_strict)
  target_compile_options(${target} PRIVATE $<$<BOOL:${RUNNEL_TSAN_USER}>:-fsanitize=thread>)
  target_compile_definitions(${target} PRIVATE $<$<BOOL:${RUNNEL_TSAN_USER}>:RN_TSAN_USER=1>)
  target_link_options(${target} PRIVATE
    $<$<BOOL:${RUNNEL_TSAN_USER}>:-fsanitize=thread>
    $<$<BOOL:${RUNNEL_STATIC_PROGRAMS}>:-static>)
endfunction()

# One ctest entry with our environment and time-out: runnel_add_test(NAME LABEL ENVIRONMENT COMMAND...)
function(runnel_add_test name label env)
  add_test(NAME ${name} COMMAND ${ARGN})
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${RUNNEL_TEST_TIMEOUT}
    LABELS ${label}
    SKIP_RETURN_CODE 77
    ENVIRONMENT "RUNNEL_TEST_SCALE=${RUNNEL_TEST_SCALE};${env};${RUNNEL_TEST_ENV}")
endfunction()

# The cases of one file, as "name" in out_each, out_once and out_alone.
function(runnel_read_cases file out_each out_once out_alone)
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(STRINGS ${file} lines REGEX "^TEST(_GO)?(_ONCE|_ALONE)?\\([a-zA-Z0-9_]+\\)")
  foreach(line IN LISTS lines)
    if(line MATCHES "^TEST(_GO)?(_ONCE|_ALONE)?\\(([a-zA-Z0-9_]+)\\)")
      if(CMAKE_MATCH_2 STREQUAL _ALONE)
        list(APPEND alone ${CMAKE_MATCH_3})
      elseif(CMAKE_MATCH_2)
        list(APPEND once ${CMAKE_MATCH_3})
      else()
        list(APPEND each ${CMAKE_MATCH_3})
      endif()
    endif()
  endforeach()
  set(${out_each} ${each} PARENT_SCOPE)
  set(${out_once} ${once} PARENT_SCOPE)
  set(${out_alone} ${alone} PARENT_SCOPE)
endfunction()

function(runnel_add_test_file file)
  get_filename_component(target ${file} NAME_WE)
  string(REGEX REPLACE "_test$" "" room ${target})
  if(RUNNEL_TEST_ROOMS AND NOT room IN_LIST RUNNEL_TEST_ROOMS)
    return()
  endif()
  add_executable(${target} ${file})
  target_include_directories(${target} PRIVATE tests src src/arch/${RUNNEL_CPU})
  runnel_program(${target})

  runnel_read_cases(${file} each once alone)
  foreach(case IN LISTS each)
    foreach(procs IN LISTS RUNNEL_TEST_PROCS)
      runnel_add_test(${room}.${case}.p${procs} ${room} RUNNEL_PROCS=${procs} ${target} ${case})
    endforeach()
  endforeach()
  foreach(case IN LISTS once alone)
    runnel_add_test(${room}.${case} ${room} "" ${target} ${case})
  endforeach()
  foreach(case IN LISTS alone)
    set_tests_properties(${room}.${case} PROPERTIES RUN_SERIAL TRUE)
  endforeach()
  list(APPEND each ${once} ${alone})
  list(SORT each)
  list(JOIN each "," each)
  runnel_add_test(${room}.cases ${room} "" ${CMAKE_COMMAND} "-DCASES=${each}" -DPROGRAM=$<TARGET_FILE:${target}>
    "-DEMULATOR=${CMAKE_CROSSCOMPILING_EMULATOR}" -P ${PROJECT_SOURCE_DIR}/cmake/same_cases.cmake)
endfunction()

# The cases of a Python script: an entry NAME.CASE.pN for each test_CASE and each N of RUNNEL_TEST_PROCS; only the first N where it
# is not the full suite that is run, as they start many processes. runnel_add_script_tests(NAME SCRIPT ENVIRONMENT)
function(runnel_add_script_tests name script env)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${script})
  file(STRINGS ${script} lines REGEX "^def test_[a-z0-9_]+\\(\\)")
  set(procs_counts ${RUNNEL_TEST_PROCS})
  if(NOT RUNNEL_WORKSHOP_TESTS)
    list(GET RUNNEL_TEST_PROCS 0 procs_counts)
  endif()
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^def test_([a-z0-9_]+)\\(\\).*" "\\1" case "${line}")
    foreach(procs IN LISTS procs_counts)
      runnel_add_test(${name}.${case}.p${procs} ${name} "RUNNEL_PROCS=${procs};${env}"
        ${Python3_EXECUTABLE} -B ${script} ${case})
    endforeach()
  endforeach()
endfunction()

# Each folder of `parent` that has a CMakeLists.txt.
function(runnel_add_folders parent)
  file(GLOB folders CONFIGURE_DEPENDS ${parent}/*/CMakeLists.txt)
  foreach(folder IN LISTS folders)
    get_filename_component(folder ${folder} DIRECTORY)
    add_subdirectory(${folder})
  endforeach()
endfunction()

function(runnel_add_tests)
  file(GLOB files CONFIGURE_DEPENDS tests/*_test.c)
  if(CMAKE_CXX_COMPILER)
    file(GLOB cxx_files CONFIGURE_DEPENDS tests/*_test.cpp)
  endif()
  foreach(file IN LISTS files cxx_files)
    runnel_add_test_file(${file})
  endforeach()
  runnel_add_folders(tests)
endfunction()

# An example is run without arguments at each procs count; it passes when it returns 0 and, where there is a file
# examples/NAME.expected, prints just that.
function(runnel_add_examples)
  file(GLOB files CONFIGURE_DEPENDS examples/*.c)
  foreach(file IN LISTS files)
    get_filename_component(target ${file} NAME_WE)
    add_executable(${target} ${file})
    runnel_program(${target} EXAMPLE)
    if(RUNNEL_TESTS)
      foreach(procs IN LISTS RUNNEL_TEST_PROCS)
        runnel_add_test(example.${target}.p${procs} example RUNNEL_PROCS=${procs}
          ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:${target}> "-DEMULATOR=${CMAKE_CROSSCOMPILING_EMULATOR}"
          -DEXPECTED=${PROJECT_SOURCE_DIR}/examples/${target}.expected -P ${PROJECT_SOURCE_DIR}/cmake/run_example.cmake)
      endforeach()
    endif()
  endforeach()
  runnel_add_folders(examples)
endfunction()

function(runnel_add_benches)
  file(GLOB files CONFIGURE_DEPENDS bench/*_bench.c)
  foreach(file IN LISTS files)
    get_filename_component(target ${file} NAME_WE)
    add_executable(${target} ${file})
    target_include_directories(${target} PRIVATE bench)
    # Where a loop of local work begins must not decide a row: MutexSpin is half as fast if it crosses a boundary.
    target_compile_options(${target} PRIVATE -falign-loops=32)
    runnel_program(${target})
  endforeach()
  runnel_add_folders(bench)
endfunction()
