// SPDX-License-Identifier: Apache-2.0
//
// The report of misuse. Layer: os. No lock: the handler is one word. Test: tests/death, tests/unit/box_test.cc.

#include "allocator/os/misuse.h"

#include "allocator/base/atomics.h"
#include "allocator/os/os.h"
#include "allocator/os/text.h"

static hak_misuse_handler handler;

static const char *const messages[] = {
    [HAK_MISUSE_NONE] = "nothing is wrong",
    [HAK_MISUSE_INVALID_POINTER] = "not a pointer that hakmem returned",
    [HAK_MISUSE_INTERIOR_POINTER] = "a pointer into a block, not to its start",
    [HAK_MISUSE_DOUBLE_FREE] = "the block is free already (double free)",
    [HAK_MISUSE_USE_AFTER_FREE] = "the block is free (use after free)",
    [HAK_MISUSE_UNDERFLOW] = "the byte before the block was overwritten (underflow, or overflow of its neighbour)",
    [HAK_MISUSE_OVERFLOW] = "the bytes behind the requested size were overwritten (overflow)",
    [HAK_MISUSE_NEXT_OVERWRITTEN] =
        "the byte behind the block was overwritten (overflow, or underflow of its neighbour)",
    [HAK_MISUSE_WRITE_AFTER_FREE] = "free memory was written to (use after free)",
    [HAK_MISUSE_SIZE_MISMATCH] = "the size is not the one that was asked for",
    [HAK_MISUSE_ALIGNMENT_MISMATCH] = "the alignment is not the one that was asked for",
    [HAK_MISUSE_FUNCTION_MISMATCH] = "the block is from another family of functions",
    [HAK_MISUSE_COUNTS] = "the counts of a slab do not add up (memory of hakmem's own was overwritten)",
};

static const char *const states[] = {
    [HAK_BLOCK_UNKNOWN] = "",
    [HAK_BLOCK_LIVE] = "live",
    [HAK_BLOCK_QUARANTINED] = "free, in quarantine",
    [HAK_BLOCK_CACHED] = "free, in a list",
    [HAK_BLOCK_FREE] = "free",
    [HAK_BLOCK_UNUSED] = "free, never allocated",
};

static void describe_block(struct text *text, const struct hak_misuse *misuse) {
  text_string(text, "  block ");
  text_hexadecimal(text, (uintptr_t)misuse->block);
  text_string(text, ", ");
  if (misuse->allocating_thread != 0) {
    text_decimal(text, misuse->requested_size);
    text_string(text, " bytes (");
    text_decimal(text, misuse->usable_size);
    text_string(text, " usable), ");
  } else {
    text_decimal(text, misuse->usable_size);
    text_string(text, " usable bytes, ");
  }
  if (misuse->size_class == 0) {
    text_string(text, "large");
  } else {
    text_string(text, "size class ");
    text_decimal(text, misuse->size_class);
  }
  text_string(text, ", ");
  text_string(text, states[misuse->state]);
  text_string(text, misuse->offset < 0 ? "; offset -" : "; offset ");
  text_decimal(text, misuse->offset < 0 ? (uint64_t)-misuse->offset : (uint64_t)misuse->offset);
  text_string(text, "\n");
}

static void describe_stack(struct text *text, const char *what, uint32_t thread, const void *const *stack,
                           size_t frames) {
  if (thread == 0) return;
  text_string(text, "  ");
  text_string(text, what);
  text_string(text, " in thread ");
  text_decimal(text, thread);
  text_string(text, "\n");
  for (size_t i = 0; i < frames; i++) {
    text_string(text, "    ");
    text_hexadecimal(text, (uintptr_t)stack[i]);
    text_string(text, " ");
    os_describe_address(text, stack[i]);
    text_string(text, "\n");
  }
}

static void write_report(const struct hak_misuse *misuse) {
  struct text text;
  text_begin(&text, HAK_STANDARD_ERROR);
  text_string(&text, "hakmem: ");
  text_string(&text, misuse->function);
  text_string(&text, "(");
  text_hexadecimal(&text, (uintptr_t)misuse->pointer);
  text_string(&text, "): ");
  text_string(&text, misuse->message);
  if (misuse->kind == HAK_MISUSE_SIZE_MISMATCH || misuse->kind == HAK_MISUSE_ALIGNMENT_MISMATCH) {
    text_string(&text, ": ");
    text_decimal(&text, misuse->given_size);
    text_string(&text, " instead of ");
    text_decimal(&text, misuse->expected_size);
  }
  text_string(&text, "\n");
  if (misuse->block != NULL) {
    describe_block(&text, misuse);
    describe_stack(&text, "allocated", misuse->allocating_thread, misuse->allocation_stack, misuse->allocation_frames);
    describe_stack(&text, "freed", misuse->freeing_thread, misuse->free_stack, misuse->free_frames);
  }
  text_end(&text);
}

const char *misuse_message(enum hak_misuse_kind kind) { return messages[kind]; }

HAK_COLD void misuse_report(struct hak_misuse *misuse) {
  misuse->size = sizeof *misuse;
  misuse->message = misuse_message(misuse->kind);
  hak_misuse_handler called = atomic_read_acquire(&handler);
  if (called != NULL) {
    called(misuse);
    return;
  }
  write_report(misuse);
  os_abort();
}

HAK_COLD void misuse_report_pointer(enum hak_misuse_kind kind, const char *function, const void *pointer) {
  struct hak_misuse misuse = {.kind = kind, .function = function, .pointer = pointer};
  misuse_report(&misuse);
}

hak_misuse_handler misuse_set_handler(hak_misuse_handler replacement) {
  return __atomic_exchange_n(&handler, replacement, __ATOMIC_ACQ_REL);
}
