// SPDX-License-Identifier: Apache-2.0
//
// The standard names: malloc, free and all that goes with them, and glibc's own names for them. No logic. Layer: api.
// Test: tests/unit/api_conformance_test.cc, tests/symbols, tests/system.
//
// A library opened with RTLD_DEEPBIND finds glibc's malloc before this one: what it allocates, it must free itself.
//
// Compiled only with HAK_OVERRIDE_MALLOC, and to nothing under a sanitizer: that one brings its own malloc, without
// which it finds nothing.

#include "allocator/base/config.h"

#if defined(HAK_OVERRIDE_MALLOC) && !defined(HAK_SANITIZER_HAS_MALLOC)

#include <malloc.h>
#include <stdio.h>

#include "allocator/os/os.h"
#include "hakmem/hakmem.h"

// An alias is the function itself under another name: the call costs nothing.
#define HAK_ALIAS(function) HAK_PUBLIC __attribute__((alias(#function), nothrow))
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmissing-attributes"
#endif

HAK_ALIAS(hak_malloc) void *malloc(size_t size);
HAK_ALIAS(hak_calloc) void *calloc(size_t count, size_t size);
HAK_ALIAS(hak_realloc) void *realloc(void *pointer, size_t size);
HAK_ALIAS(hak_reallocarray) void *reallocarray(void *pointer, size_t count, size_t size);
HAK_ALIAS(hak_free) void free(void *pointer);
HAK_ALIAS(hak_free_sized) void free_sized(void *pointer, size_t size);
HAK_ALIAS(hak_free_aligned_sized) void free_aligned_sized(void *pointer, size_t alignment, size_t size);
HAK_ALIAS(hak_aligned_alloc) void *aligned_alloc(size_t alignment, size_t size);
HAK_ALIAS(hak_memalign) void *memalign(size_t alignment, size_t size);
HAK_ALIAS(hak_posix_memalign) int posix_memalign(void **result, size_t alignment, size_t size);
HAK_ALIAS(hak_valloc) void *valloc(size_t size);
HAK_ALIAS(hak_pvalloc) void *pvalloc(size_t size);
HAK_ALIAS(hak_trim) int malloc_trim(size_t keep);

HAK_ALIAS(hak_malloc) void *__libc_malloc(size_t size);
HAK_ALIAS(hak_calloc) void *__libc_calloc(size_t count, size_t size);
HAK_ALIAS(hak_realloc) void *__libc_realloc(void *pointer, size_t size);
HAK_ALIAS(hak_reallocarray) void *__libc_reallocarray(void *pointer, size_t count, size_t size);
HAK_ALIAS(hak_free) void __libc_free(void *pointer);
HAK_ALIAS(hak_memalign) void *__libc_memalign(size_t alignment, size_t size);
HAK_ALIAS(hak_posix_memalign) int __posix_memalign(void **result, size_t alignment, size_t size);
HAK_ALIAS(hak_valloc) void *__libc_valloc(size_t size);
HAK_ALIAS(hak_pvalloc) void *__libc_pvalloc(size_t size);

HAK_PUBLIC size_t malloc_usable_size(void *pointer) { return hak_usable_size(pointer); }

HAK_PUBLIC struct mallinfo2 mallinfo2(void) {
  struct hak_statistics all;
  hak_get_statistics(&all, sizeof all);
  struct mallinfo2 info = {0};
  // As in glibc arena is uordblks + fordblks. Nothing lies in mappings of its own.
  info.arena = all.committed_bytes;
  info.uordblks = all.live_bytes;
  info.fordblks = all.committed_bytes - all.live_bytes;
  for (unsigned i = 0; i < all.classes; i++)
    info.ordblks += all.by_class[i].blocks_free + all.by_class[i].blocks_cached;
  info.keepcost = all.dirty_bytes;
  return info;
}

// The old struct's fields are int: they stop at INT_MAX instead of wrapping.
static int as_int(size_t number) { return number > __INT_MAX__ ? __INT_MAX__ : (int)number; }

HAK_PUBLIC struct mallinfo mallinfo(void) {
  struct mallinfo2 wide = mallinfo2();
  struct mallinfo info = {0};
  info.arena = as_int(wide.arena);
  info.ordblks = as_int(wide.ordblks);
  info.hblks = as_int(wide.hblks);
  info.hblkhd = as_int(wide.hblkhd);
  info.uordblks = as_int(wide.uordblks);
  info.fordblks = as_int(wide.fordblks);
  info.keepcost = as_int(wide.keepcost);
  return info;
}

// What glibc's mallopt can set does not exist here. Its parameters are accepted, because programs take 0 for a failure.
HAK_PUBLIC int mallopt(int parameter, int value) {
  (void)value;
  return parameter == M_MXFAST || (parameter <= M_TRIM_THRESHOLD && parameter >= M_ARENA_MAX);
}

HAK_PUBLIC void malloc_stats(void) { (void)hak_statistics_print(2); }

HAK_PUBLIC int malloc_info(int flags, FILE *stream) {
  if (flags != 0 || stream == NULL) {
    os_error_set_invalid();
    return -1;
  }
  struct hak_statistics all;
  hak_get_statistics(&all, sizeof all);
  int written = fprintf(stream,
                        "<malloc version=\"hakmem-1\">\n<total type=\"live\" size=\"%zu\"/>\n"
                        "<total type=\"free\" size=\"%zu\"/>\n<system type=\"current\" size=\"%zu\"/>\n</malloc>\n",
                        all.live_bytes, all.cached_bytes + all.free_bytes, all.committed_bytes);
  return written < 0 ? -1 : 0;
}

#endif  // HAK_OVERRIDE_MALLOC
