// SPDX-License-Identifier: Apache-2.0
//
// The limits of the quarantine. Layer: thread_cache. Test: tests/unit/quarantine_test.cc.

#include "allocator/thread_cache/quarantine.h"

#include "allocator/base/options.h"
#include "allocator/base/size_class.h"

void quarantine_begin(struct quarantine *quarantine, unsigned size_class) {
  size_t blocks = options.box_quarantine_blocks;
  size_t bytes = (size_t)options.box_quarantine_kib << 10;
  // Large blocks are counted by their bytes when they come.
  if (size_class != 0 && blocks * size_classes[size_class].stride > bytes)
    blocks = bytes / size_classes[size_class].stride;
  if (bytes == 0) blocks = 0;
  quarantine->least = (uint32_t)blocks;
  quarantine->most = (uint32_t)(blocks + blocks / 2);
}
