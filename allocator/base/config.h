// SPDX-License-Identifier: Apache-2.0
//
// Compile-time constants and the checks level. Layer: base. No state.

#ifndef ALLOCATOR_BASE_CONFIG_H_
#define ALLOCATOR_BASE_CONFIG_H_

#include <stddef.h>
#include <stdint.h>

#include "allocator/base/compiler.h"
#include "allocator/base/track.h"

// 0: direct. Push and pop are a few instructions; for production.
// 1: checked. The direct push, plus the header compare: double and invalid frees are found while they are cheap to find.
// 2: Box. Every push and pop goes through the validating API of thread_cache/box.h; for tests.
#ifndef HAK_CHECKS_LEVEL
#define HAK_CHECKS_LEVEL 0
#endif
#define HAK_CHECKS_DIRECT 0
#define HAK_CHECKS_CHECKED 1
#define HAK_CHECKS_BOX 2

// The Box fills what is free, and what lies behind the requested size, with this byte, and looks whether it is still there.
// As a header it is none; as a pointer it is none; as a number it is conspicuous. Sanitizers and memcheck see to the same
// themselves.
#define HAK_FILL 0xFBu
#define HAK_BOX_FILLS (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX && !HAK_SANITIZER_TRACKS && !HAK_TRACKED_NOW)

// Every block is aligned to this, and every stride is a multiple of it.
#define HAK_ALIGNMENT 16
// The byte in front of the user pointer: magic | class.
#define HAK_HEADER_BYTES 1
// The header holds a class in six bits.
#define HAK_HEADER_CLASS_LIMIT 64

// A slab is the unit in which memory is handed out by the page arena. It is a multiple of every page size in use
// (4, 16 and 64 KiB), so that a slab can always be purged by itself. A superslab is one transparent huge page and the unit in
// which address space is taken. Fuzz targets are also built with small ones, whose ends a few blocks reach.
#ifdef HAK_SMALL_GEOMETRY
#define HAK_SLAB_SHIFT 13
#define HAK_SUPERSLAB_SHIFT 18
#else
#define HAK_SLAB_SHIFT 16
#define HAK_SUPERSLAB_SHIFT 21
#endif
#define HAK_SLAB_BYTES ((size_t)1 << HAK_SLAB_SHIFT)
#define HAK_SUPERSLAB_BYTES ((size_t)1 << HAK_SUPERSLAB_SHIFT)
#define HAK_SUPERSLAB_SLABS (1u << (HAK_SUPERSLAB_SHIFT - HAK_SLAB_SHIFT))

// All blocks of a process lie in one window of address space, for which a table has one byte per slab. Only those parts
// of the window that are in use are mapped. The smallest window is for processes whose address space is limited.
#ifdef HAK_SMALL_GEOMETRY
#define HAK_WINDOW_MAX_BYTES ((size_t)1 << 27)
#define HAK_WINDOW_MIN_BYTES ((size_t)1 << 26)
#else
#define HAK_WINDOW_MAX_BYTES ((size_t)1 << 40)
#define HAK_WINDOW_MIN_BYTES ((size_t)1 << 36)
#endif

// A chain is what thread caches and the shared pool exchange: at most this many blocks.
#define HAK_CHAIN_BLOCKS_MAX 128
// The shared pool holds at most this many chains per class; the option pool_chains may lower it.
#define HAK_POOL_CHAINS_MAX 64

HAK_STATIC_ASSERT(sizeof(void *) == 8, "hakmem needs a 64-bit system");
HAK_STATIC_ASSERT(HAK_CHECKS_LEVEL >= 0 && HAK_CHECKS_LEVEL <= 2, "HAK_CHECKS_LEVEL is 0, 1 or 2");
HAK_STATIC_ASSERT(HAK_SUPERSLAB_SLABS == 32, "the masks of a superslab are 32 bits wide");

#endif  // ALLOCATOR_BASE_CONFIG_H_
