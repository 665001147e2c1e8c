// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_16_before_first_use, "free((void *)16) of a program that has never allocated") { hak_free(at(16)); }
