// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

CONTROL_WITH(control_most_options, "the Box without quarantine and with everything else it can do",
             "box_quarantine_blocks=0,box_scan=1,box_stacks=8,box_match_functions=1") {
  for (size_t size = 0; size < 200000; size = size * 2 + 1) use_blocks(20, size);
  hak_trim(0);
  EXPECT(hak_check_heap(NULL) == 0);
}
