# SPDX-License-Identifier: MIT
# A user's CMakeLists.txt.
cmake_minimum_required(VERSION 3.22)
project(consumer C)
find_package(runnel 0.1 REQUIRED)
add_executable(shared program.c)
target_link_libraries(shared PRIVATE runnel::runnel)
add_executable(static program.c)
target_link_libraries(static PRIVATE runnel::static)
