// SPDX-License-Identifier: Apache-2.0
//
// The options with their defaults. Layer: base. Written once, by api/options_parse.c, before other threads can read it.

#include "allocator/base/options.h"

HAK_INTERNAL_DEFINITION struct options options = {
#define HAK_OPTION(name, initial, least, greatest, meaning) .name = (initial),
#include "allocator/base/options.def"
#undef HAK_OPTION
};
