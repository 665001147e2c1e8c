// SPDX-License-Identifier: Apache-2.0
//
// Memory from the Linux kernel. Layer: os. No lock: every call is a system call of its own.
// Test: tests/unit/os_memory_test.cc.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "allocator/base/atomics.h"
#include "allocator/base/config.h"
#include "allocator/os/os.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static size_t memory_calls;

static void count_call(void) { atomic_add_relaxed(&memory_calls, 1); }

static const int map_flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

void *os_memory_map(size_t bytes) {
  count_call();
  void *address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, map_flags, -1, 0);
  return address == MAP_FAILED ? NULL : address;
}

// Kernels before 4.17 do not know MAP_FIXED_NOREPLACE and take the address for a hint.
enum os_map_result os_memory_map_at(void *address, size_t bytes) {
  count_call();
  void *mapped = mmap(address, bytes, PROT_READ | PROT_WRITE, map_flags | MAP_FIXED_NOREPLACE, -1, 0);
  if (mapped == address) return OS_MAPPED;
  if (mapped == MAP_FAILED) return errno == EEXIST ? OS_OCCUPIED : OS_NO_MEMORY;
  munmap(mapped, bytes);
  return OS_OCCUPIED;
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

// Where the kernel refuses, it may have unmapped the destination already (before 6.17 it does, unless it is out of
// mappings).
static void copy_instead(void *from, void *to, size_t bytes) {
  unsigned char residence[HAK_SUPERSLAB_BYTES / 4096];
  count_call();
  if (mincore(to, bytes, residence) == 0) {
    memcpy(to, from, bytes);
    return;
  }
  if (mmap(to, bytes, PROT_READ | PROT_WRITE, map_flags | MAP_FIXED, -1, 0) != to) {
    static const char message[] = "hakmem: realloc: the system unmapped memory and does not map it again\n";
    (void)!write(STDERR_FILENO, message, sizeof message - 1);
    abort();
  }
  memcpy(to, from, bytes);
}

// Piece by piece, because the kernel refuses to move what lies in more than one of its mappings.
void os_memory_move(void *from, void *to, size_t bytes) {
  bool limited = os_address_space_limit() != SIZE_MAX;
  for (size_t done = 0; done < bytes; done += HAK_SUPERSLAB_BYTES) {
    size_t piece = bytes - done < HAK_SUPERSLAB_BYTES ? bytes - done : HAK_SUPERSLAB_BYTES;
    char *source = (char *)from + done;
    char *target = (char *)to + done;
    // Under a limit somebody else might take what mremap unmaps first. Sanitizers follow copies, but not moves.
    if (limited || HAK_SANITIZER_TRACKS) {
      memcpy(target, source, piece);
      continue;
    }
    count_call();
    void *moved = mremap(source, piece, piece, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, target);
    if (moved != target) copy_instead(source, target, piece);
  }
}

void os_memory_advise_huge(void *address, size_t bytes) {
  count_call();
  (void)madvise(address, bytes, MADV_HUGEPAGE);
}

// Private writable mappings count for both limits.
size_t os_address_space_limit(void) {
  size_t least = SIZE_MAX;
  struct rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) least = (size_t)limit.rlim_cur;
  if (getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur < least) least = (size_t)limit.rlim_cur;
  return least;
}

size_t os_memory_calls(void) { return atomic_read_relaxed(&memory_calls); }

uint64_t os_clock_milliseconds(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_MONOTONIC_COARSE, &now) != 0) return 0;
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
