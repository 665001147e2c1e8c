// SPDX-License-Identifier: Apache-2.0
//
// The memory functions of allocator/os/os.h for fuzz targets: real memory at addresses that are the same for every input,
// calls that fail when they are told to, and a record of what is held, so that a wrong call is noticed. Included by
// allocator/all_in_one.c in the place of os_memory_linux.c; its state belongs to one variant. Layer: heap. The calls come
// with or without the allocator's locks; only the threads target has several threads, one of which runs at a time.
//
// Tables come from one region, one after the other. The window is where the first call for a place in it says. Both stay
// mapped between inputs, emptied: the first of their bytes, which nearly all inputs use, by writing zeroes, as page faults
// would take most of the time of an input; the others by giving them back to the system.

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "allocator/base/config.h"
#include "allocator/os/os.h"
#include "fuzz/heap/fake_memory.h"
#include "fuzz/heap/put_back.h"

// What is done once in a process would be told of the input that comes first. With yield points also because nobody comes
// between, as in the kernel.
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)

// The windows of two variants are as far apart as their tables: further than what each uses of its window.
#define FAKE_TABLES_BYTES ((size_t)8 << 30)
// Where the kernel puts all this is chance, and no input may see it. Tables lie one superslab behind a multiple of this, and so
// does the window, or as far in front of it as it always is: what an alignment of less finds there is the same each time, and
// an alignment of more fits nowhere.
#define FAKE_ALIGNMENT ((uintptr_t)8 << 30)
// The window of small slabs is this far below the first table, where it would meet the tables of another variant; so it is
// mapped with them.
#ifdef HAK_SMALL_GEOMETRY
#define FAKE_WINDOW_DISTANCE (4 * HAK_WINDOW_MAX_BYTES)
#define FAKE_WARM_BYTES ((size_t)4 << 20)
#else
#define FAKE_WINDOW_DISTANCE ((size_t)0)
#define FAKE_WARM_BYTES ((size_t)0)
#endif
#define FAKE_TABLE_COUNT 4096
// The allocator's first superslabs; what lies behind them cannot be had.
#define FAKE_SUPERSLABS ((size_t)2048)
#define FAKE_WINDOW_BYTES (FAKE_SUPERSLABS << HAK_SUPERSLAB_SHIFT)
// More is not held at a time, whatever the limit says.
#define FAKE_MOST_BYTES ((size_t)256 << 20)

enum fake_superslab { FAKE_UNMAPPED, FAKE_HELD, FAKE_OCCUPIED };

// Not in the sections that are put back between inputs.
static struct {
  struct fake_memory_state state;
  char *tables;
  size_t tables_used;
  struct {
    uint32_t page;
    uint32_t pages;  // 0 after its release
  } table[FAKE_TABLE_COUNT];
  size_t table_count;
  bool tables_protected;
  char *window;
  size_t window_used;   // superslabs, up to the last one that was held since the start of the input
  size_t window_ready;  // superslabs that memory was mapped for
  size_t occupied_end;  // superslabs, up to the last one that was met and was somebody else's
  bool rest_is_zero;    // what is held was seen to be zero, and nothing but the first superslab was written to since
  uint8_t superslabs[FAKE_SUPERSLABS];
  uint8_t given_back[FAKE_SUPERSLABS];  // since the start of the input, and not held again
} fake __attribute__((section(".data.fake_memory")));

static void fake_fatal(const char *what) {
  (void)!write(STDERR_FILENO, what, strlen(what));
  _exit(99);
}

static void fake_error(const char *what) {
  if (fake.state.error == NULL) fake.state.error = what;
}

static bool fake_refuse(void) {
  fake.state.refused++;
  errno = ENOMEM;
  return true;
}

static bool fake_call_fails(unsigned kind) {
  fake.state.calls++;
  fake.rest_is_zero = false;
  if ((fake.state.fail_kinds & kind) == 0) return false;
  if (fake.state.fail_after > 0) {
    fake.state.fail_after--;
    return false;
  }
  if (fake.state.fail_count == 0) return false;
  if (fake.state.fail_count != SIZE_MAX) fake.state.fail_count--;
  return fake_refuse();
}

static bool fake_too_much(size_t bytes) {
  size_t held = fake.state.held_window_bytes + fake.state.held_table_bytes;
  size_t limit = fake.state.limit < FAKE_MOST_BYTES ? fake.state.limit : FAKE_MOST_BYTES;
  return (held > limit || bytes > limit - held) && fake_refuse();
}

static bool fake_is_whole(const void *address, size_t bytes) {
  size_t page = os_page_size();
  return (uintptr_t)address % page == 0 && bytes % page == 0 && bytes != 0;
}

static void *fake_mmap(void *where, size_t bytes, int flags) {
  flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void *address = mmap(where, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (address == MAP_FAILED) fake_fatal("fuzz: the memory for the heap under test cannot be mapped\n");
  return address;
}

// How many bytes from an address on stay resident.
static size_t fake_warm_bytes(const char *address) {
  size_t in_window = (size_t)(address - fake.window), in_tables = (size_t)(address - fake.tables);
  if (fake.window != NULL && in_window < FAKE_WARM_BYTES) return FAKE_WARM_BYTES - in_window;
  return in_tables < FAKE_WARM_BYTES ? FAKE_WARM_BYTES - in_tables : 0;
}

static void fake_empty(void *address, size_t bytes) {
  size_t warm = fake_warm_bytes(address);
  if (warm > bytes) warm = bytes;
  heap_zero(address, warm);
  if (bytes > warm && madvise((char *)address + warm, bytes - warm, MADV_DONTNEED) != 0) {
    fake_fatal("fuzz: madvise failed\n");
  }
}

// What is given back of the tables cannot be touched, or it is noticed once it is mapped again.
static void fake_protect_table(void *address, size_t bytes) {
  fake_empty(address, bytes);
  if (fake_warm_bytes(address) == 0) mprotect(address, bytes, PROT_NONE);
}

void *os_memory_map(size_t bytes) {
  if (fake_call_fails(FAKE_MAP)) return NULL;
  // Tables of a production window are large and mostly not touched: they do not count.
  bool counts = bytes <= HAK_SUPERSLAB_BYTES;
  if (counts && fake_too_much(bytes)) return NULL;
  if (!fake_is_whole((void *)0, bytes)) fake_error("map of something that is not whole pages");
  if (fake.tables == NULL) {
    fake.tables = fake_mmap(NULL, FAKE_WINDOW_DISTANCE + FAKE_ALIGNMENT + FAKE_TABLES_BYTES, 0);
    fake.tables += FAKE_WINDOW_DISTANCE;
    fake.tables += -(uintptr_t)fake.tables % FAKE_ALIGNMENT + HAK_SUPERSLAB_BYTES;
    if (FAKE_WINDOW_DISTANCE != 0) fake.window_ready = FAKE_SUPERSLABS;
  }
  if (bytes > FAKE_TABLES_BYTES - HAK_SUPERSLAB_BYTES - fake.tables_used || fake.table_count == FAKE_TABLE_COUNT) {
    fake_refuse();
    return NULL;
  }
  char *address = fake.tables + fake.tables_used;
  size_t page = os_page_size();
  fake.table[fake.table_count].page = (uint32_t)(fake.tables_used / page);
  fake.table[fake.table_count++].pages = (uint32_t)(bytes / page);
  fake.tables_used += bytes;
  if (counts) fake.state.held_table_bytes += bytes;
  return address;
}

// The number of the superslab at an address of the window; FAKE_SUPERSLABS and more outside.
static size_t fake_number(const void *address) {
  return fake.window == NULL ? FAKE_SUPERSLABS : ((uintptr_t)address - (uintptr_t)fake.window) >> HAK_SUPERSLAB_SHIFT;
}

static bool fake_is_occupied(size_t number) {
  return fake.state.occupied != 0 && number % fake.state.occupied + fake.state.occupied_more >= fake.state.occupied - 1;
}

static void fake_make_ready(size_t end) {
  const size_t piece = (size_t)64 << 20 >> HAK_SUPERSLAB_SHIFT;
  while (fake.window_ready < end) {
    char *where = fake.window + (fake.window_ready << HAK_SUPERSLAB_SHIFT);
    void *address = fake_mmap(where, piece << HAK_SUPERSLAB_SHIFT, MAP_FIXED_NOREPLACE);
    if (address != where) fake_fatal("fuzz: the window of the heap under test is occupied\n");
    fake.window_ready += piece;
  }
}

// Superslabs come and go by the hundred where the window is crowded: mprotect, which splits mappings, took nine tenths of the
// time of such inputs. So what was given back stays accessible, and is looked at when it is mapped again.
static void fake_check_unused(size_t number) {
  const size_t page = os_page_size(), pages = HAK_SUPERSLAB_BYTES / page;
  char *address = fake.window + (number << HAK_SUPERSLAB_SHIFT);
  uint64_t touched = 0;
  for (size_t i = 0; i < pages; i += 64) touched |= os_memory_touched(address + i * page, 64);
  if (touched != 0) fake_error("memory was touched that is not held");
}

enum os_map_result os_memory_map_at(void *address, size_t bytes) {
  if (fake_call_fails(FAKE_MAP_AT)) return OS_NO_MEMORY;
  if (((uintptr_t)address | bytes) % HAK_SUPERSLAB_BYTES != 0)
    fake_error("map of something that is not whole superslabs");
  if (fake.window == NULL) fake.window = address;
  size_t first = fake_number(address), count = bytes >> HAK_SUPERSLAB_SHIFT;
  if (first >= FAKE_SUPERSLABS || count > FAKE_SUPERSLABS - first || fake_too_much(bytes)) {
    fake_refuse();
    return OS_NO_MEMORY;
  }
  for (size_t i = first; i < first + count; i++) {
    if (fake.superslabs[i] == FAKE_HELD) fake_error("map of a superslab that is mapped");
    if (fake_is_occupied(i)) {
      fake.superslabs[i] = FAKE_OCCUPIED;
      if (fake.occupied_end <= i) fake.occupied_end = i + 1;
    }
    if (fake.superslabs[i] == FAKE_OCCUPIED) {
      errno = EEXIST;
      return OS_OCCUPIED;
    }
  }
  fake_make_ready(first + count);
  for (size_t i = first; i < first + count; i++) {
    fake.superslabs[i] = FAKE_HELD;
    if (fake.given_back[i]) fake_check_unused(i);
    fake.given_back[i] = 0;
  }
  if (fake.window_used < first + count) fake.window_used = first + count;
  fake.state.held_window_bytes += bytes;
  return OS_MAPPED;
}

// The table that holds a range; NULL if none does.
static size_t fake_find_table(const void *address, size_t bytes) {
  size_t page = os_page_size(), first = ((uintptr_t)address - (uintptr_t)fake.tables) / page, count = bytes / page;
  for (size_t i = 0; i < fake.table_count; i++) {
    if (first >= fake.table[i].page && first + count <= fake.table[i].page + fake.table[i].pages) return i;
  }
  return FAKE_TABLE_COUNT;
}

static bool fake_is_held(const void *address, size_t bytes) {
  size_t first = fake_number(address), last = fake_number((const char *)address + bytes - 1);
  if (first >= FAKE_SUPERSLABS || last >= FAKE_SUPERSLABS) return fake_find_table(address, bytes) != FAKE_TABLE_COUNT;
  for (size_t i = first; i <= last; i++) {
    if (fake.superslabs[i] != FAKE_HELD) return false;
  }
  return true;
}

bool os_memory_purge(void *address, size_t bytes) {
  if (fake_call_fails(FAKE_PURGE)) {
    fake.state.purge_refused++;
    return false;
  }
  if (!fake_is_whole(address, bytes)) fake_error("purge of something that is not whole pages");
  if (!fake_is_held(address, bytes)) {
    fake_error("purge of memory that is not held");
    return false;
  }
  if (fake.state.purge_mode != FAKE_PURGE_WORKS) {
    if (fake.state.purge_mode == FAKE_PURGE_REFUSES_MIDWAY) fake_empty(address, bytes / 2 & ~(os_page_size() - 1));
    fake_refuse();
    fake.state.purge_refused++;
    return false;
  }
  fake_empty(address, bytes);
  fake.state.given_back_bytes += bytes;
  return true;
}

static bool fake_release_table(void *address, size_t bytes) {
  size_t i = fake_find_table(address, bytes);
  if (i == FAKE_TABLE_COUNT || bytes / os_page_size() != fake.table[i].pages) {
    fake_error("release of memory that is not held, or of a part");
    return false;
  }
  fake.table[i].pages = 0;
  fake.state.held_table_bytes -= bytes;
  fake_protect_table(address, bytes);
  fake.tables_protected = true;
  return true;
}

bool os_memory_release(void *address, size_t bytes) {
  if (fake_call_fails(FAKE_RELEASE)) return false;
  if (!fake_is_whole(address, bytes)) fake_error("release of something that is not whole pages");
  size_t first = fake_number(address), count = bytes >> HAK_SUPERSLAB_SHIFT;
  if (first >= FAKE_SUPERSLABS) return fake_release_table(address, bytes);
  if (((uintptr_t)address | bytes) % HAK_SUPERSLAB_BYTES != 0 || !fake_is_held(address, bytes)) {
    fake_error("release of memory that is not held, or of a part");
    return false;
  }
  fake_empty(address, bytes);
  for (size_t i = first; i < first + count; i++) {
    fake.superslabs[i] = FAKE_UNMAPPED;
    fake.given_back[i] = 1;
  }
  fake.state.held_window_bytes -= bytes;
  fake.state.given_back_bytes += bytes;
  return true;
}

// As the kernel's page tables have it; where pages stay resident, those that hold anything but zeroes.
uint64_t os_memory_touched(const void *address, size_t pages) {
  unsigned char residence[64];
  uint64_t touched = 0;
  size_t page = os_page_size();
  if (fake_warm_bytes(address) >= pages * page) {
    for (size_t i = 0; i < pages; i++) touched |= (uint64_t)!heap_is_zero((char *)address + i * page, page) << i;
    return touched;
  }
  if (pages > 64 || mincore((void *)address, pages * page, residence) != 0) return UINT64_MAX;
  for (size_t i = 0; i < pages; i++) touched |= (uint64_t)(residence[i] & 1) << i;
  return touched;
}

void os_memory_move(void *from, void *to, size_t bytes) {
  fake.state.calls++;
  fake.rest_is_zero = false;
  if (!fake_is_held(from, bytes) || !fake_is_held(to, bytes)) fake_error("move of memory that is not held");
  // As with mremap, what was never touched is not copied.
  for (size_t done = 0; done < bytes; done += HAK_SLAB_BYTES) {
    size_t page = os_page_size();
    uint64_t touched = os_memory_touched((char *)from + done, HAK_SLAB_BYTES / page);
    fake_empty((char *)to + done, HAK_SLAB_BYTES);
    for (size_t i = 0; i < HAK_SLAB_BYTES / page; i++) {
      if ((touched >> i & 1) != 0) memcpy((char *)to + done + i * page, (char *)from + done + i * page, page);
    }
  }
  fake_empty(from, bytes);
}

void os_memory_advise_huge(void *address, size_t bytes) {
  fake.state.calls++;
  if (!fake_is_held(address, bytes)) fake_error("advice about memory that is not held");
}

size_t os_address_space_limit(void) { return fake.state.limit; }
size_t os_memory_calls(void) { return fake.state.calls; }
uint64_t os_clock_milliseconds(void) { return fake.state.milliseconds; }

// Most of the window is zero at the end of most inputs, and was looked at: itself, not what the kernel says of it.
static void fake_empty_window(void) {
  size_t used = fake.window_used << HAK_SUPERSLAB_SHIFT;
  bool was_looked_at = fake.state.held_window_bytes == used && used <= FAKE_WARM_BYTES;
  if (fake.rest_is_zero && was_looked_at && used > HAK_SUPERSLAB_BYTES) used = HAK_SUPERSLAB_BYTES;
  fake_empty(fake.window, used);
  fake.rest_is_zero = false;
}

static void fake_memory_reset(void) {
  if (fake.tables_protected) mprotect(fake.tables, FAKE_TABLES_BYTES, PROT_READ | PROT_WRITE);
  fake_empty(fake.tables, fake.tables_used);
  fake.tables_used = fake.table_count = 0;
  fake.tables_protected = false;
  memset(fake.given_back, 0, fake.window_used);
  fake_empty_window();
  memset(fake.superslabs, 0, fake.window_used > fake.occupied_end ? fake.window_used : fake.occupied_end);
  fake.window_used = fake.occupied_end = 0;
  fake.state = (struct fake_memory_state){.milliseconds = 1000, .limit = SIZE_MAX};
}

#pragma clang attribute pop
