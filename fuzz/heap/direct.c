// SPDX-License-Identifier: Apache-2.0
//
// The direct variant in production's slabs. Layer: heap.

#pragma clang section bss = "direct_bss" data = "direct_data"
#define HEAP_NAME direct
#define HAK_PREFIX hak_direct_
#define HAK_CHECKS_LEVEL 0

#include "fuzz/heap/heap_variant.inc"
