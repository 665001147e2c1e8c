// SPDX-License-Identifier: Apache-2.0
//
// What sanitizers are told of blocks, so that they report the very byte: in their builds only, elsewhere it is nothing.
// Layer: base. No state.

#ifndef ALLOCATOR_BASE_TRACK_H_
#define ALLOCATOR_BASE_TRACK_H_

#include <stddef.h>

#include "allocator/base/compiler.h"

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
#define HAK_TRACK_RESIZED(address, old_bytes, bytes) __asan_unpoison_memory_region((address), (bytes))
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

#endif  // ALLOCATOR_BASE_TRACK_H_
