// SPDX-License-Identifier: Apache-2.0
//
// The size-class tables. Layer: base. Constant data only. Test: tests/unit/size_class_test.cc.

#include "allocator/base/size_class.h"

#include "allocator/base/seeded_bug.h"

#define HAK_CLASS_ENTRY(index, stride, run_slabs, blocks, alignment, first_offset, reciprocal) \
  [index] = {stride, blocks, first_offset, alignment, reciprocal, run_slabs},
HAK_INTERNAL_DEFINITION const struct size_class size_classes[HAK_CLASS_COUNT] = {HAK_CLASS_TABLE(HAK_CLASS_ENTRY)};
#undef HAK_CLASS_ENTRY

HAK_INTERNAL_DEFINITION const uint8_t size_to_class[HAK_SIZE_TO_CLASS_ENTRIES] = HAK_SIZE_TO_CLASS_TABLE;

HAK_STATIC_ASSERT(HAK_CLASS_COUNT <= HAK_HEADER_CLASS_LIMIT, "a class must fit into the header byte");

unsigned size_class_of_aligned(size_t size, size_t alignment) {
  if (size > size_class_usable(HAK_CLASS_COUNT - 1)) return 0;
  for (unsigned size_class = HAK_CLASS_ALIGNED_FIRST; size_class < HAK_CLASS_COUNT; size_class++) {
    const struct size_class *candidate = &size_classes[size_class];
    if (candidate->alignment >= alignment && candidate->stride - HAK_HEADER_BYTES + HAK_SEED_BUG(3) >= size)
      return size_class;
  }
  return 0;
}
