// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the page arena share: stamps in the slabs of runs and spans, by which it shows whose they are.

#ifndef HAKMEM_TESTS_UNIT_PAGE_ARENA_SUPPORT_H_
#define HAKMEM_TESTS_UNIT_PAGE_ARENA_SUPPORT_H_

#include <gtest/gtest.h>
#include <string.h>

#include "allocator/base/options.h"
#include "allocator/os/os_memory_fake.h"
#include "allocator/page_arena/page_arena.h"
#include "allocator/page_arena/purge.h"
#include "allocator/page_arena/span.h"
#include "tests/unit/fresh_process.h"
#include "tests/unit/test_support.h"

namespace hak_test {

constexpr uint32_t kAllSlabs = UINT32_MAX;
constexpr unsigned kSlabs = HAK_SUPERSLAB_SLABS;
// Where the test writes to each slab, and looks for zeroes.
constexpr size_t kProbes[] = {0, HAK_SLAB_BYTES / 2 - 4, HAK_SLAB_BYTES - 8};

// With the Box the shared pool makes records before the registry hears of the class.
inline struct slab *TakeRun(unsigned slabs, unsigned size_class, bool *zeroed) {
  struct slab *const run = page_arena_take_run(slabs, size_class, zeroed);
  if (run != nullptr && size_class != 0 && HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) registry_set_class(run, size_class);
  return run;
}

inline char *SlabMemory(uintptr_t address, size_t slab) {
  return reinterpret_cast<char *>(address + slab * HAK_SLAB_BYTES);
}

inline void Stamp(uintptr_t address, size_t slabs, uint64_t key) {
  for (size_t i = 0; i < slabs; ++i) {
    for (const size_t probe : kProbes) memcpy(SlabMemory(address, i) + probe, &key, sizeof key);
  }
}

inline void ExpectStamp(uintptr_t address, size_t slabs, uint64_t key) {
  for (size_t i = 0; i < slabs; ++i) {
    for (const size_t probe : kProbes) {
      ASSERT_EQ(0, memcmp(SlabMemory(address, i) + probe, &key, sizeof key)) << "slab " << i << " was written to";
    }
  }
}

}  // namespace hak_test

#endif  // HAKMEM_TESTS_UNIT_PAGE_ARENA_SUPPORT_H_
