// SPDX-License-Identifier: Apache-2.0
//
// measure_memory PRELOAD FIGURE-FILE PROGRAM ARGUMENTS...: runs a program with PRELOAD (may be empty) in LD_PRELOAD
// and writes the largest resident set of any process it started, in KiB, to FIGURE-FILE. Ends with the program's
// exit status.
//
// A program of its own because the kernel counts the resident set of a process before exec too: a child of a large
// process (an interpreter) would report that one's size.

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: %s PRELOAD FIGURE-FILE PROGRAM ARGUMENTS...\n", argv[0]);
    return 2;
  }
  pid_t child = fork();
  if (child < 0) {
    perror("fork");
    return 2;
  }
  if (child == 0) {
    if (argv[1][0]) setenv("LD_PRELOAD", argv[1], 1);
    execv(argv[3], argv + 3);
    perror(argv[3]);
    _exit(127);
  }
  int status;
  struct rusage usage;
  if (wait4(child, &status, 0, &usage) != child) {
    perror("wait4");
    return 2;
  }
  FILE *figure = fopen(argv[2], "w");
  if (!figure || fprintf(figure, "%ld\n", usage.ru_maxrss) < 0 || fclose(figure) != 0) {
    perror(argv[2]);
    return 2;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
