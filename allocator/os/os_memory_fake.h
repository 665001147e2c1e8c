// SPDX-License-Identifier: Apache-2.0
//
// What a test can do to the memory functions of os.h where os_memory_fake.c stands in for os_memory_linux.c.
// Layer: os. Not thread-safe but for the counters: set it up before other threads run.

#ifndef ALLOCATOR_OS_OS_MEMORY_FAKE_H_
#define ALLOCATOR_OS_OS_MEMORY_FAKE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum os_fake_call {
  OS_FAKE_MAP = 1,     // anywhere: the allocator's own tables
  OS_FAKE_MAP_AT = 2,  // superslabs
  OS_FAKE_PURGE = 4,
  OS_FAKE_RELEASE = 8,
  OS_FAKE_MOVE = 16,    // counted; it cannot fail
  OS_FAKE_ADVISE = 32,  // so is this
  OS_FAKE_ALL = 63,
};

// Lets calls calls of the kinds in the mask succeed and makes the next count ones fail (SIZE_MAX: all of them).
// Calls of other kinds are neither counted nor failed.
void os_fake_fail(unsigned kinds, size_t calls, size_t count);
// No more failures, limit SIZE_MAX, the clock at 1000 ms and standing still.
void os_fake_reset(void);
// The next count calls of os_memory_map_at find the address occupied.
void os_fake_occupy(size_t count);
// What os_address_space_limit answers; maps beyond it fail.
void os_fake_set_limit(size_t bytes);
// What os_clock_milliseconds answers.
void os_fake_set_time(uint64_t milliseconds);
// Bytes of address space held now, and calls so far of the kinds in the mask.
size_t os_fake_mapped_bytes(void);
size_t os_fake_calls(unsigned kinds);
// How many bytes purge has given back so far.
size_t os_fake_purged_bytes(void);
// Purges and releases of addresses that are not held: must stay 0.
size_t os_fake_errors(void);

#ifdef __cplusplus
}
#endif

#endif  // ALLOCATOR_OS_OS_MEMORY_FAKE_H_
