// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

static void *keep;

MISUSE_WITH(leaks, "blocks never freed, with box_leaks", "box_leaks=1") {
  keep = new_block(100);
  keep = new_block(1000);
  keep = new_block(100000);
  hak_free(new_block(100));
}
