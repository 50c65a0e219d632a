# SPDX-License-Identifier: MIT
#
# Runs PROGRAM; fails unless ThreadSanitizer reports a data race in it.
execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE status)
if(status EQUAL 0 OR NOT errors MATCHES "ThreadSanitizer: data race")
  message(FATAL_ERROR "no race was reported; exit status ${status}; printed:\n${output}${errors}")
endif()
