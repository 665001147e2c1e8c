// SPDX-License-Identifier: Apache-2.0
//
// The Box in small slabs. Layer: heap.

#pragma clang section bss = "box_small_bss" data = "box_small_data"
#define HEAP_NAME box_small
#define HAK_PREFIX hak_box_small_
#define HAK_CHECKS_LEVEL 2
#define HAK_SMALL_GEOMETRY 1
#include "fuzz/heap/heap_variant.inc"
