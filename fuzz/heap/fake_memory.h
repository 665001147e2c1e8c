// SPDX-License-Identifier: Apache-2.0
//
// What a fuzz target can do to the memory calls of one variant, and what it is told of them. The calls are those of
// allocator/os/os.h; fake_memory.c implements them for each variant apart. Everything is as after fake_memory_reset at the
// start of an input. Layer: heap.

#ifndef FUZZ_HEAP_FAKE_MEMORY_H_
#define FUZZ_HEAP_FAKE_MEMORY_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fake_memory_call {
  FAKE_MAP = 1,     // anywhere: the allocator's own tables
  FAKE_MAP_AT = 2,  // superslabs
  FAKE_PURGE = 4,
  FAKE_RELEASE = 8,
  FAKE_ALL = 15,
};

enum fake_purge_mode {
  FAKE_PURGE_WORKS,
  FAKE_PURGE_REFUSES,         // the memory is unchanged
  FAKE_PURGE_REFUSES_MIDWAY,  // the first half was given back before the kernel noticed
  FAKE_PURGE_MODES,
};

struct fake_memory_state {
  // Set by the target.
  unsigned fail_kinds;
  size_t fail_after;
  size_t fail_count;
  enum fake_purge_mode purge_mode;
  uint64_t milliseconds;
  size_t limit;            // of the bytes held; what os_address_space_limit answers. SIZE_MAX: none
  uint32_t occupied;       // every so many-eth superslab is somebody else's; 0: none
  uint32_t occupied_more;  // and so many in front of it
  // Told to the target.
  size_t calls;    // of all kinds
  size_t refused;  // calls that failed, for whatever reason
  size_t purge_refused;
  size_t given_back_bytes;  // by purges and releases of the window, in all
  size_t held_window_bytes;
  size_t held_table_bytes;
  const char *error;  // the first call that was wrong: of memory that is not held, or not whole pages. NULL: none
};

#endif  // FUZZ_HEAP_FAKE_MEMORY_H_
