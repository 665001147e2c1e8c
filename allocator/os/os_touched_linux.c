// SPDX-License-Identifier: Apache-2.0
//
// Which pages of memory were touched: what the Box asks before it looks at much of it. Layer: os.
// Test: tests/unit/os_memory_test.cc.

#include <fcntl.h>
#include <unistd.h>

#include "allocator/os/os.h"

// A page without an entry in the page table and not swapped out was never touched, or was given back. Where /proc cannot be
// read, any page may have been.
uint64_t os_memory_touched(const void *address, size_t pages) {
  uint64_t entries[64], touched = 0;
  size_t page_size = os_page_size();
  int descriptor = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return UINT64_MAX;
  size_t bytes = pages * sizeof entries[0];
  ssize_t done = pread(descriptor, entries, bytes, (off_t)((uintptr_t)address / page_size * sizeof entries[0]));
  close(descriptor);
  if (done != (ssize_t)bytes) return UINT64_MAX;
  for (size_t i = 0; i < pages; i++) touched |= (entries[i] >> 62 != 0 ? (uint64_t)1 : 0) << i;
  return touched;
}
