# SPDX-License-Identifier: MIT
#
# Fails unless the test program PROGRAM knows exactly the cases CASES (sorted, joined by commas): what CMake read from the file.
execute_process(COMMAND ${EMULATOR} ${PROGRAM} OUTPUT_VARIABLE known ERROR_QUIET RESULT_VARIABLE status)
if(NOT status EQUAL 2)
  message(FATAL_ERROR "${PROGRAM} without arguments: exit status ${status}, not 2")
endif()
string(STRIP "${known}" known)
string(REPLACE "\n" ";" known "${known}")
list(SORT known)
list(JOIN known "," known)
if(NOT known STREQUAL CASES)
  message(FATAL_ERROR "the program's cases: ${known}\nCMake's, from the lines that begin with TEST: ${CASES}")
endif()
