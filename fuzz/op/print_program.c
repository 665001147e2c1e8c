// SPDX-License-Identifier: Apache-2.0
//
// Prints an input of the fuzz targets: which operations it is made of.
//
//     print_program [--target=NAME] [--executed | --c] FILE
//
// What an input means depends on its target, so without it what is printed may not be what is executed. --executed unrolls the
// repetitions; --c prints a C program. FILE may be -.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz/op/op_print.h"

// More than the targets are given.
static uint8_t input[1 << 16];

static int usage(const char *name) {
  fprintf(stderr, "usage: %s [--target=NAME] [--executed | --c] FILE\n", name);
  return 2;
}

static int unknown_target(const char *name) {
  fprintf(stderr, "no target \"%s\"; there are", name);
  for (unsigned i = OP_TARGET_NONE + 1; i < OP_TARGETS; i++) fprintf(stderr, " %s", op_target_name((enum op_target)i));
  fputc('\n', stderr);
  return 2;
}

int main(int argc, char **argv) {
  static const char target_is[] = "--target=";
  void (*print)(enum op_target, const uint8_t *, size_t, FILE *) = op_print_list;
  enum op_target target = OP_TARGET_NONE;
  int i = 1;
  for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
    if (strncmp(argv[i], target_is, strlen(target_is)) == 0) {
      target = op_target_of(argv[i] + strlen(target_is));
      if (target == OP_TARGET_NONE) return unknown_target(argv[i] + strlen(target_is));
    } else if (strcmp(argv[i], "--executed") == 0 && print == op_print_list) {
      print = op_print_executed;
    } else if (strcmp(argv[i], "--c") == 0 && print == op_print_list) {
      print = op_print_c;
    } else {
      return usage(argv[0]);
    }
  }
  if (i + 1 != argc) return usage(argv[0]);
  const char *name = argv[i], *directory = getenv("BUILD_WORKING_DIRECTORY");
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
  print(target, input, size, stdout);
  return fflush(stdout) == 0 ? 0 : 1;
}
