// SPDX-License-Identifier: Apache-2.0
//
// Reads HAKMEM_OPTIONS. Layer: api; internal to it.

#ifndef ALLOCATOR_API_OPTIONS_PARSE_H_
#define ALLOCATOR_API_OPTIONS_PARSE_H_

#include "allocator/base/compiler.h"

HAK_BEGIN_DECLARATIONS
// Sets options from "name=value,name=value". What is unknown, malformed or out of range is warned about on stderr and
// changes nothing. NULL is no options. Called once, before anything reads the options.
HAK_INTERNAL void options_parse(const char *text);
HAK_END_DECLARATIONS

#endif  // ALLOCATOR_API_OPTIONS_PARSE_H_
