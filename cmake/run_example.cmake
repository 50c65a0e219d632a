# SPDX-License-Identifier: MIT
#
# Runs PROGRAM; fails when it does, or when there is a file EXPECTED and it printed something else.
execute_process(COMMAND ${EMULATOR} ${PROGRAM} OUTPUT_VARIABLE output RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "exit status ${status}; printed:\n${output}")
endif()
if(EXISTS ${EXPECTED})
  file(READ ${EXPECTED} expected)
  if(NOT output STREQUAL expected)
    message(FATAL_ERROR "printed:\n${output}\nexpected:\n${expected}")
  endif()
endif()
