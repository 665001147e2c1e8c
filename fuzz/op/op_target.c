// SPDX-License-Identifier: Apache-2.0
//
// What the fuzz targets make of their inputs. Layer: op; calls op.h and stdio. Test: op_target_test.cc.

#include "fuzz/op/op_target.h"

#include <stdio.h>
#include <string.h>

static const char *const names[OP_TARGETS] = {
    [OP_TARGET_NONE] = "",
    [OP_TARGET_DIFFERENTIAL] = "differential",
    [OP_TARGET_FAULTS] = "faults",
    [OP_TARGET_LARGE] = "large",
    [OP_TARGET_MISUSE] = "misuse",
    [OP_TARGET_OPTIONS] = "options",
    [OP_TARGET_SIZE_CLASS] = "size_class",
    [OP_TARGET_THREADS] = "threads",
};

const char *op_target_name(enum op_target target) { return names[target]; }

enum op_target op_target_of(const char *name) {
  for (unsigned i = OP_TARGETS - 1; i > OP_TARGET_NONE; i--) {
    if (strcmp(names[i], name) == 0) return (enum op_target)i;
  }
  return OP_TARGET_NONE;
}

bool op_target_does_misuse(enum op_target target) { return target == OP_TARGET_NONE || target == OP_TARGET_MISUSE; }

// ---- large ----------------------------------------------------------------------------------------------------------

#define LARGE_LEAST ((size_t)24 << 10)

// Every size that no class serves, or that is near the greatest that one does.
static struct {
  uint8_t selectors[UINT8_MAX + 1];
  unsigned count;
} large;

// Before any input, as an engine sees an input differ that does more than others.
__attribute__((constructor)) static void find_large_selectors(void) {
  for (unsigned i = 0; i <= UINT8_MAX; i++) {
    if (op_size((uint8_t)i, 0) >= LARGE_LEAST) large.selectors[large.count++] = (uint8_t)i;
  }
}

void op_make_large(struct op *op) {
  if (op->kind <= OP_PAGE_ALLOC) op->selector = large.selectors[op->selector % large.count];
}

// ---- threads --------------------------------------------------------------------------------------------------------

// Threads that use few classes meet in the shared pool. Which classes is for the seed to say.
void op_make_narrow(struct op *op, uint32_t schedule_seed) {
  static const uint8_t least[] = {1, 6, 12, 20, 28, 34, 37, 39};
  if (schedule_seed % 2 == 0 || (op->kind > OP_WRITE && op->kind != OP_MISUSE)) return;
  op->slot %= 32;
  if (op->kind > OP_PAGE_ALLOC || op->selector >= 192) return;
  op->selector = (uint8_t)(least[schedule_seed / 2 % sizeof least] + op->selector % 3);
  if (op->kind == OP_MALLOC || op->kind == OP_CALLOC || op->kind == OP_REALLOC) op->delta = 0;
}

// ---- options --------------------------------------------------------------------------------------------------------

size_t op_read_options_text(const uint8_t *data, size_t size, char text[OP_OPTIONS_TEXT_MAX + 1]) {
  text[0] = '\0';
  if (size == 0) return 0;
  size_t length = strnlen((const char *)data, size < OP_OPTIONS_TEXT_MAX ? size : OP_OPTIONS_TEXT_MAX);
  memcpy(text, data, length);
  text[length] = '\0';
  return length + 1 < size ? length + 1 : size;
}

// ---- size_class -----------------------------------------------------------------------------------------------------

size_t op_request_count(size_t size) {
  return size / OP_REQUEST_BYTES < OP_REQUESTS_MAX ? size / OP_REQUEST_BYTES : OP_REQUESTS_MAX;
}

struct op_request op_read_request(const uint8_t *data, size_t index) {
  const uint8_t *bytes = data + index * OP_REQUEST_BYTES;
  return (struct op_request){
      .size = bytes[0] | (size_t)bytes[1] << 8,
      .alignment = bytes[2] < 128 ? 0 : (size_t)1 << (4 + bytes[2] % 10),
      .count = 1 + bytes[3] % OP_REQUEST_BLOCKS_MAX,
  };
}

// ---- All ------------------------------------------------------------------------------------------------------------

void op_write_options(char *text, size_t bytes, const struct op_setup *setup) {
  snprintf(
      text, bytes,
      "chain_kib=%u,pool_chains=%u,purge_delay_ms=%u,thp=%u,box_scan=%u,box_quarantine_blocks=%u,box_quarantine_kib=%u",
      setup->chain_kib, setup->pool_chains, setup->purge_delay_ms, setup->thp, setup->box_scan,
      setup->quarantine_blocks, setup->quarantine_blocks == 0 ? 0 : 256);
}

struct op_input op_read_input(enum op_target target, const uint8_t *data, size_t size) {
  struct op_input input = {.data = data, .size = size};
  if (target == OP_TARGET_OPTIONS) {
    size_t begin = op_read_options_text(data, size, input.options);
    input.data += begin;
    input.size -= begin;
  }
  input.setup = op_read_setup(input.data, input.size);
  if (target != OP_TARGET_OPTIONS) op_write_options(input.options, sizeof input.options, &input.setup);
  input.operations_max = target == OP_TARGET_LARGE ? OP_LARGE_OPERATIONS_MAX : OP_EXECUTED_MAX;
  return input;
}

void op_make(enum op_target target, const struct op_setup *setup, struct op *op) {
  if (target == OP_TARGET_LARGE) op_make_large(op);
  if (target == OP_TARGET_THREADS) op_make_narrow(op, setup->schedule_seed);
}
