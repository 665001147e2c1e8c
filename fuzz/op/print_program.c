// SPDX-License-Identifier: Apache-2.0
//
// Prints an input of the fuzz targets: which operations it is made of.
//
//     print_program [--executed | --c] FILE
//
// --executed unrolls the repetitions; --c prints a C program. FILE may be -.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz/op/op_print.h"

static uint8_t input[OP_INPUT_MAX];

int main(int argc, char **argv) {
  void (*print)(const uint8_t *, size_t, FILE *) = op_print_list;
  if (argc == 3 && strcmp(argv[1], "--executed") == 0) {
    print = op_print_executed;
  } else if (argc == 3 && strcmp(argv[1], "--c") == 0) {
    print = op_print_c;
  } else if (argc != 2) {
    fprintf(stderr, "usage: %s [--executed | --c] FILE\n", argv[0]);
    return 2;
  }
  const char *name = argv[argc - 1], *directory = getenv("BUILD_WORKING_DIRECTORY");
  // `bazel run` starts it elsewhere.
  if (directory != NULL && chdir(directory) != 0) perror(directory);
  FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
  if (file == NULL) {
    perror(name);
    return 1;
  }
  size_t size = fread(input, 1, sizeof input, file);
  if (ferror(file)) {
    perror(name);
    return 1;
  }
  print(input, size, stdout);
  return fflush(stdout) == 0 ? 0 : 1;
}
