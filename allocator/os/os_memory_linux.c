// SPDX-License-Identifier: Apache-2.0
//
// Memory from the Linux kernel. Layer: os. No lock: every call is a system call of its own.
// Test: tests/unit/os_memory_test.cc.

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "allocator/base/atomics.h"
#include "allocator/os/os.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static size_t memory_calls;

static void count_call(void) { atomic_add_relaxed(&memory_calls, 1); }

// The kernel aligns to pages only: where its first answer is not aligned, takes more and gives both ends back.
static void *map_aligned(size_t bytes, size_t alignment, int protection) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  count_call();
  char *address = mmap(NULL, bytes, protection, flags, -1, 0);
  if (address == MAP_FAILED) return NULL;
  if (((uintptr_t)address & (alignment - 1)) == 0) return address;
  count_call();
  munmap(address, bytes);
  if (bytes > SIZE_MAX - alignment) return NULL;
  count_call();
  address = mmap(NULL, bytes + alignment, protection, flags, -1, 0);
  if (address == MAP_FAILED) return NULL;
  size_t before = -(uintptr_t)address & (alignment - 1);
  size_t after = alignment - before;
  if (before != 0) munmap(address, before);
  if (after != 0) munmap(address + before + bytes, after);
  return address + before;
}

void *os_memory_reserve(size_t bytes, size_t alignment) { return map_aligned(bytes, alignment, PROT_NONE); }

void *os_memory_map(size_t bytes, size_t alignment) { return map_aligned(bytes, alignment, PROT_READ | PROT_WRITE); }

bool os_memory_commit(void *address, size_t bytes) {
  count_call();
  return mprotect(address, bytes, PROT_READ | PROT_WRITE) == 0;
}

// MADV_DONTNEED and not MADV_FREE: resident memory shrinks at once and visibly, and the pages read as zero for certain.
bool os_memory_purge(void *address, size_t bytes) {
  count_call();
  return madvise(address, bytes, MADV_DONTNEED) == 0;
}

bool os_memory_release(void *address, size_t bytes) {
  count_call();
  return munmap(address, bytes) == 0;
}

bool os_memory_move(void *from, void *to, size_t bytes) {
  count_call();
  return mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) == to;
}

void os_memory_advise_huge(void *address, size_t bytes) {
  count_call();
  (void)madvise(address, bytes, MADV_HUGEPAGE);
}

size_t os_address_space_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
  return (size_t)limit.rlim_cur;
}

size_t os_memory_calls(void) { return atomic_read_relaxed(&memory_calls); }

uint64_t os_clock_milliseconds(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_MONOTONIC_COARSE, &now) != 0) return 0;
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
