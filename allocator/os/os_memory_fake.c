// SPDX-License-Identifier: Apache-2.0
//
// The memory functions of os.h for tests: real memory, but every call can be made to fail, the clock stands still until
// it is set, and what is held is counted. Layer: os. Test: tests/unit/exhaustion_test.cc, which is what it is for.

#include "allocator/os/os_memory_fake.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "allocator/base/atomics.h"
#include "allocator/os/lock.h"
#include "allocator/os/os.h"

#define FAKE_RANGES 4096
#define FAKE_KINDS 6

static struct lock fake_lock;
static unsigned fail_kinds;
static size_t fail_after, fail_count, occupied_count;
static size_t fake_limit = SIZE_MAX;
static uint64_t fake_time = 1000;
static size_t mapped_bytes, purged_total, errors;
static size_t call_counts[FAKE_KINDS];
static struct {
  char *address;
  size_t bytes;
} ranges[FAKE_RANGES];

void os_fake_fail(unsigned kinds, size_t calls, size_t count) {
  lock_acquire(&fake_lock);
  fail_kinds = kinds;
  fail_after = calls;
  fail_count = count;
  lock_release(&fake_lock);
}

void os_fake_reset(void) {
  os_fake_fail(0, 0, 0);
  occupied_count = 0;
  fake_limit = SIZE_MAX;
  atomic_write_relaxed(&fake_time, 1000);
}

void os_fake_occupy(size_t count) { occupied_count = count; }
void os_fake_set_limit(size_t bytes) { fake_limit = bytes; }
void os_fake_set_time(uint64_t milliseconds) { atomic_write_relaxed(&fake_time, milliseconds); }
size_t os_fake_mapped_bytes(void) { return atomic_read_relaxed(&mapped_bytes); }
size_t os_fake_purged_bytes(void) { return atomic_read_relaxed(&purged_total); }
size_t os_fake_errors(void) { return atomic_read_relaxed(&errors); }

size_t os_fake_calls(unsigned kinds) {
  size_t sum = 0;
  for (unsigned kind = 0; kind < FAKE_KINDS; kind++) {
    if ((kinds & 1u << kind) != 0) sum += atomic_read_relaxed(&call_counts[kind]);
  }
  return sum;
}

static bool call_fails(unsigned kind) {
  bool fails = false;
  lock_acquire(&fake_lock);
  atomic_add_relaxed(&call_counts[__builtin_ctz(kind)], 1);
  if ((fail_kinds & kind) != 0) {
    if (fail_after > 0) {
      fail_after--;
    } else if (fail_count > 0) {
      if (fail_count != SIZE_MAX) fail_count--;
      fails = true;
    }
  }
  lock_release(&fake_lock);
  // As the kernel's refusals do.
  if (fails) errno = ENOMEM;
  return fails;
}

static void *fake_map(void *where, size_t bytes, int flags) {
  size_t held_bytes = os_fake_mapped_bytes();
  if (fake_limit < held_bytes || fake_limit - held_bytes < bytes) return NULL;
  void *address =
      mmap(where, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
  if (address == MAP_FAILED) return NULL;
  lock_acquire(&fake_lock);
  for (size_t i = 0; i < FAKE_RANGES; i++) {
    if (ranges[i].bytes != 0) continue;
    ranges[i].address = address;
    ranges[i].bytes = bytes;
    atomic_add_relaxed(&mapped_bytes, bytes);
    lock_release(&fake_lock);
    return address;
  }
  lock_release(&fake_lock);
  munmap(address, bytes);
  return NULL;
}

// Whether [address, address + bytes) is held, in ranges side by side; what is not is counted as an error.
static bool held(const char *address, size_t bytes) {
  const char *end = address + bytes;
  bool found = true;
  lock_acquire(&fake_lock);
  while (found && address < end) {
    found = false;
    for (size_t i = 0; i < FAKE_RANGES && !found; i++) {
      const char *range_end = ranges[i].address + ranges[i].bytes;
      if (ranges[i].bytes == 0 || address < ranges[i].address || address >= range_end) continue;
      address = range_end;
      found = true;
    }
  }
  if (!found) atomic_add_relaxed(&errors, 1);
  lock_release(&fake_lock);
  return found;
}

void *os_memory_map(size_t bytes) { return call_fails(OS_FAKE_MAP) ? NULL : fake_map(NULL, bytes, 0); }

enum os_map_result os_memory_map_at(void *address, size_t bytes) {
  if (call_fails(OS_FAKE_MAP_AT)) return OS_NO_MEMORY;
  if (occupied_count > 0) {
    occupied_count--;
    return OS_OCCUPIED;
  }
  errno = 0;
  if (fake_map(address, bytes, MAP_FIXED_NOREPLACE) != NULL) return OS_MAPPED;
  return errno == EEXIST ? OS_OCCUPIED : OS_NO_MEMORY;
}

bool os_memory_purge(void *address, size_t bytes) {
  if (call_fails(OS_FAKE_PURGE) || !held(address, bytes)) return false;
  atomic_add_relaxed(&purged_total, bytes);
  return madvise(address, bytes, MADV_DONTNEED) == 0;
}

bool os_memory_release(void *address, size_t bytes) {
  if (call_fails(OS_FAKE_RELEASE)) return false;
  lock_acquire(&fake_lock);
  for (size_t i = 0; i < FAKE_RANGES; i++) {
    if (ranges[i].bytes == 0 || (char *)address < ranges[i].address ||
        (char *)address + bytes > ranges[i].address + ranges[i].bytes) {
      continue;
    }
    // A part of a range is cut out; its tail becomes a range of its own.
    size_t before = (size_t)((char *)address - ranges[i].address);
    size_t after = ranges[i].bytes - before - bytes;
    ranges[i].bytes = before;
    for (size_t j = 0; after != 0 && j < FAKE_RANGES; j++) {
      if (ranges[j].bytes != 0) continue;
      ranges[j].address = (char *)address + bytes;
      ranges[j].bytes = after;
      break;
    }
    atomic_add_relaxed(&mapped_bytes, -bytes);
    lock_release(&fake_lock);
    return munmap(address, bytes) == 0;
  }
  atomic_add_relaxed(&errors, 1);
  lock_release(&fake_lock);
  return false;
}

void os_memory_move(void *from, void *to, size_t bytes) {
  (void)call_fails(OS_FAKE_MOVE);
  memcpy(to, from, bytes);
}

void os_memory_advise_huge(void *address, size_t bytes) {
  (void)address;
  (void)bytes;
  (void)call_fails(OS_FAKE_ADVISE);
}

size_t os_address_space_limit(void) { return fake_limit; }
size_t os_memory_calls(void) { return os_fake_calls(OS_FAKE_ALL); }
uint64_t os_clock_milliseconds(void) { return atomic_read_relaxed(&fake_time); }
