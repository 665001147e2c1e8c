// SPDX-License-Identifier: Apache-2.0

#include <sys/wait.h>
#include <unistd.h>

#include "tests/death/misuse.h"

CONTROL(control_fork, "blocks from before a fork freed by the child and by the parent") {
  char *blocks[100];
  for (size_t i = 0; i < 100; i++) blocks[i] = new_block(i * i * 10);
  use_blocks(100, 100);
  pid_t child = fork();
  EXPECT(child >= 0);
  for (size_t i = 0; i < 100; i++) hak_free(blocks[i]);
  use_blocks(100, 100);
  EXPECT(hak_check_heap(NULL) == 0);
  hak_trim(0);
  EXPECT(hak_check_heap(NULL) == 0);
  if (child == 0) _exit(0);
  int status;
  EXPECT(waitpid(child, &status, 0) == child && status == 0);
}
