// SPDX-License-Identifier: Apache-2.0
//
// The options of the process, from the table in options.def. Parsed by the api layer before anything else happens and
// constant from then on; every layer may read them. Layer: base.

#ifndef ALLOCATOR_BASE_OPTIONS_H_
#define ALLOCATOR_BASE_OPTIONS_H_

#include <stdint.h>

#include "allocator/base/compiler.h"

struct options {
#define HAK_OPTION(name, initial, least, greatest, meaning) uint32_t name;
#include "allocator/base/options.def"
#undef HAK_OPTION
};

HAK_BEGIN_DECLARATIONS
HAK_INTERNAL_DATA struct options options;
HAK_END_DECLARATIONS

#endif  // ALLOCATOR_BASE_OPTIONS_H_
