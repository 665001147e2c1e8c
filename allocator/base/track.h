// SPDX-License-Identifier: Apache-2.0
//
// What sanitizers are told of blocks, so that they report the very byte: in their builds only. In other builds the Box tells
// Valgrind's memcheck, if the program runs under it; the other levels nothing. Layer: base. State: whether memcheck runs.

#ifndef ALLOCATOR_BASE_TRACK_H_
#define ALLOCATOR_BASE_TRACK_H_

#include <stdbool.h>
#include <stddef.h>

#include "allocator/base/compiler.h"

// Level 2 is the Box (base/config.h).
#if HAK_CHECKS_LEVEL == 2 && !defined(HAK_NO_TRACKING) && !defined(HAK_SANITIZER_HAS_MALLOC) && defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define HAK_TRACK_MEMCHECK 1
#endif
#endif

// HAK_NO_TRACKING: for tests of single layers, which look at memory that is nobody's.
#if defined(HAK_ADDRESS_SANITIZER) && !defined(HAK_NO_TRACKING)

HAK_BEGIN_DECLARATIONS
void __asan_poison_memory_region(const volatile void *address, size_t bytes);
void __asan_unpoison_memory_region(const volatile void *address, size_t bytes);
HAK_END_DECLARATIONS

// bytes at address are a program's, with undefined contents.
#define HAK_TRACK_ALLOCATED(address, bytes) __asan_unpoison_memory_region((address), (bytes))
// The same, but zero.
#define HAK_TRACK_ZEROED(address, bytes) __asan_unpoison_memory_region((address), (bytes))
// The program's old_bytes are bytes now; what was there is.
#define HAK_TRACK_RESIZED(address, old_bytes, bytes) \
  ((void)(old_bytes), __asan_unpoison_memory_region((address), (bytes)))
// They belong to nobody.
#define HAK_TRACK_FREED(address, bytes) __asan_poison_memory_region((address), (bytes))
// They are about to be unmapped, or copied as a whole.
#define HAK_TRACK_UNMAPPED(address, bytes) __asan_unpoison_memory_region((address), (bytes))
#define HAK_TRACK_COPIED(address, bytes) __asan_unpoison_memory_region((address), (bytes))
// For the few functions that access headers and links, which are nobody's.
#define HAK_UNTRACKED static __attribute__((noinline, unused, no_sanitize("address")))
#define HAK_SANITIZER_TRACKS 1

#elif defined(HAK_MEMORY_SANITIZER) && !defined(HAK_NO_TRACKING)

HAK_BEGIN_DECLARATIONS
void __msan_allocated_memory(const volatile void *address, size_t bytes);
void __msan_poison(const volatile void *address, size_t bytes);
void __msan_unpoison(const volatile void *address, size_t bytes);
HAK_END_DECLARATIONS

#define HAK_TRACK_ALLOCATED(address, bytes) __msan_allocated_memory((address), (bytes))
#define HAK_TRACK_ZEROED(address, bytes) __msan_unpoison((address), (bytes))
#define HAK_TRACK_FREED(address, bytes) __msan_poison((address), (bytes))
#define HAK_TRACK_RESIZED(address, old_bytes, bytes) \
  ((bytes) > (old_bytes) ? __msan_allocated_memory((char *)(address) + (old_bytes), (bytes) - (old_bytes)) : (void)0)
#define HAK_TRACK_UNMAPPED(address, bytes) __msan_unpoison((address), (bytes))
#define HAK_TRACK_COPIED(address, bytes) ((void)0)
#define HAK_UNTRACKED static __attribute__((noinline, unused, no_sanitize("memory")))
#define HAK_SANITIZER_TRACKS 1

#elif defined(HAK_TRACK_MEMCHECK)

HAK_BEGIN_DECLARATIONS
HAK_INTERNAL_DATA bool track_memcheck;
HAK_END_DECLARATIONS

#define HAK_TRACKED_NOW HAK_UNLIKELY(track_memcheck)
#define HAK_TRACK_IF_TRACKED(request) \
  do {                                \
    if (HAK_TRACKED_NOW) {            \
      request;                        \
    }                                 \
  } while (0)
// Memcheck answers requests; Valgrind's other tools, and a processor, do not.
#define HAK_TRACK_START()                                                  \
  do {                                                                     \
    char probe = 0;                                                        \
    track_memcheck = VALGRIND_MAKE_MEM_DEFINED(&probe, sizeof probe) != 0; \
  } while (0)
#define HAK_TRACK_ALLOCATED(address, bytes) HAK_TRACK_IF_TRACKED(VALGRIND_MALLOCLIKE_BLOCK((address), (bytes), 0, 0))
// A resize from nothing to nothing would be an invalid free.
#define HAK_TRACK_RESIZED(address, old_bytes, bytes) \
  HAK_TRACK_IF_TRACKED(if ((old_bytes) != (bytes)) VALGRIND_RESIZEINPLACE_BLOCK((address), (old_bytes), (bytes), 0))
#define HAK_TRACK_ZEROED(address, bytes) HAK_TRACK_IF_TRACKED((void)VALGRIND_MAKE_MEM_DEFINED((address), (bytes)))
#define HAK_TRACK_BLOCK_FREED(address, bytes) HAK_TRACK_IF_TRACKED(VALGRIND_FREELIKE_BLOCK((address), 0))
#define HAK_TRACK_FREED(address, bytes) HAK_TRACK_IF_TRACKED((void)VALGRIND_MAKE_MEM_NOACCESS((address), (bytes)))
#define HAK_TRACK_UNMAPPED(address, bytes) ((void)0)
#define HAK_TRACK_COPIED(address, bytes) HAK_TRACK_IF_TRACKED((void)VALGRIND_MAKE_MEM_UNDEFINED((address), (bytes)))
#define HAK_TRACK_PAUSE() HAK_TRACK_IF_TRACKED(VALGRIND_DISABLE_ERROR_REPORTING)
#define HAK_TRACK_RESUME() HAK_TRACK_IF_TRACKED(VALGRIND_ENABLE_ERROR_REPORTING)
#define HAK_UNTRACKED HAK_INLINE
#define HAK_SANITIZER_TRACKS 0

#else

#define HAK_TRACK_ALLOCATED(address, bytes) ((void)0)
#define HAK_TRACK_ZEROED(address, bytes) ((void)0)
#define HAK_TRACK_FREED(address, bytes) ((void)0)
#define HAK_TRACK_RESIZED(address, old_bytes, bytes) ((void)(old_bytes))
#define HAK_TRACK_UNMAPPED(address, bytes) ((void)0)
#define HAK_TRACK_COPIED(address, bytes) ((void)0)
#define HAK_UNTRACKED HAK_INLINE
#define HAK_SANITIZER_TRACKS 0

#endif

#ifndef HAK_TRACK_MEMCHECK
// Whether somebody is told who finds out at run time.
#define HAK_TRACKED_NOW false
#define HAK_TRACK_START() ((void)0)
// A block's life ends.
#define HAK_TRACK_BLOCK_FREED(address, bytes) HAK_TRACK_FREED(address, bytes)
// Around what HAK_UNTRACKED functions do, for who is not told so by the compiler.
#define HAK_TRACK_PAUSE() ((void)0)
#define HAK_TRACK_RESUME() ((void)0)
#endif

#endif  // ALLOCATOR_BASE_TRACK_H_
