// SPDX-License-Identifier: Apache-2.0
//
// Makes an input of the fuzz targets from a number, for tests and as a first corpus; the same from the same number:
//
//     make_program SEED CHANGES > FILE
//
// with so many calls of the mutator, beginning with nothing; 0 is as many random bytes as an input may have.

#include <stdio.h>
#include <stdlib.h>

#include "fuzz/op/mutate.h"
#include "fuzz/op/program.h"

static uint8_t input[OP_INPUT_MAX];

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s SEED CHANGES\n", argv[0]);
    return 2;
  }
  struct random random;
  random_begin(&random, strtoull(argv[1], NULL, 0));
  unsigned long changes = strtoul(argv[2], NULL, 0);
  size_t size = 0;
  if (changes == 0) {
    while (size < sizeof input) input[size++] = (uint8_t)random_next(&random);
  }
  for (unsigned long i = 0; i < changes; i++) {
    size = op_mutate(input, size, sizeof input, NULL, 0, random_next(&random));
  }
  return fwrite(input, 1, size, stdout) == size && fflush(stdout) == 0 ? 0 : 1;
}
