// SPDX-License-Identifier: Apache-2.0
//
// hakmem as the malloc, free, operator new and delete of a program, at the level that the build says.

#include "allocator/all_in_one.c"
