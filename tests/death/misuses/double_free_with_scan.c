// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE_WITH(double_free_with_scan, "freed twice, with box_scan", "box_scan=1,box_quarantine_blocks=0") {
  char *block = new_block(100);
  hak_free(block);
  hak_free(block);
}
