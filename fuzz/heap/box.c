// SPDX-License-Identifier: Apache-2.0
//
// The Box in production's slabs. Layer: heap.

#pragma clang section bss = "box_bss" data = "box_data"
#define HEAP_NAME box
#define HAK_PREFIX hak_box_
#define HAK_CHECKS_LEVEL 2

#include "fuzz/heap/heap_variant.inc"
