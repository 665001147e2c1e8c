// SPDX-License-Identifier: Apache-2.0
//
// The direct variant in small slabs. Layer: heap.

#pragma clang section bss = "direct_small_bss" data = "direct_small_data"
#define HEAP_NAME direct_small
#define HAK_PREFIX hak_direct_small_
#define HAK_CHECKS_LEVEL 0
#define HAK_SMALL_GEOMETRY 1
#include "fuzz/heap/heap_variant.inc"
