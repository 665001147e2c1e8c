// SPDX-License-Identifier: Apache-2.0
//
// One operation on one heap, told to its model. Layer: execute. Not instrumented.

#include <errno.h>

#include "fuzz/execute/execute.h"

// What errno is before each call: no error that hakmem knows.
#define ERRNO_BEFORE 0x5A
#define PAGE ((size_t)4096)
#define WHOLE_LOOKS_MAX 32

static void check_errno_kept(const char *function) {
  ORACLE_CHECK(error, errno == ERRNO_BEFORE, "%s changed errno to %d", function, errno);
}

void call_free(struct model *model, unsigned slot) {
  void *user = model->slots[slot].user;
  if (user != NULL) model_leave(model, slot);
  errno = ERRNO_BEFORE;
  model->heap->free(user);
  check_errno_kept("free");
}

static void call_free_sized(struct model *model, unsigned slot) {
  const struct model_block block = model->slots[slot];
  if (block.user != NULL) model_leave(model, slot);
  errno = ERRNO_BEFORE;
  if (block.alignment != 0) {
    model->heap->free_aligned_sized(block.user, block.alignment, block.size);
  } else {
    model->heap->free_sized(block.user, block.size);
  }
  check_errno_kept("free_sized");
}

static void call_free_range(struct model *model, const struct op *op, const struct op_arguments *arguments) {
  for (size_t i = 0; i < arguments->count; i++) {
    unsigned slot = op_range_slot(op, arguments, i);
    if (model->slots[slot].user != NULL) call_free(model, slot);
  }
}

// What is longer than the window is refused at once.
static bool is_crowded(const struct model *model, size_t size, size_t alignment) {
  return size <= model->heap->window_bytes && model_may_run_out(model, size, alignment);
}

// A block that a call gave for a free slot, or none.
static struct outcome enter(struct model *model, unsigned slot, void *user, size_t size, size_t alignment, bool zeroed,
                            size_t refused_before) {
  struct outcome outcome = {.refused = model->heap->memory->refused - refused_before,
                            .crowded = is_crowded(model, size, alignment)};
  if (user != NULL) {
    model_enter(model, slot, user, size, alignment, zeroed);
    outcome.allocated = true;
  } else {
    outcome.error = errno;
    model_no_block(model, size, alignment, errno, outcome.refused);
    if (alignment == 0) model_check_retried(model, size);
  }
  return outcome;
}

static struct outcome refuse_invalid(const void *user, int error) {
  ORACLE_CHECK(error, user == NULL && error == EINVAL, "an alignment that is none gave errno %d", error);
  return (struct outcome){.error = error};
}

static bool is_power_of_two(size_t number) { return number != 0 && (number & (number - 1)) == 0; }

static size_t round_up_alignment(size_t alignment) {
  size_t rounded = 16;
  while (rounded < alignment) rounded *= 2;
  return rounded;
}

static struct outcome call_aligned(struct model *model, const struct op *op, const struct op_arguments *arguments,
                                   size_t refused) {
  const struct heap *heap = model->heap;
  size_t size = arguments->size, alignment = arguments->alignment;
  char nothing;
  void *user = &nothing;
  if (op->kind == OP_ALIGNED_ALLOC) {
    user = heap->aligned_alloc(alignment, size);
    if (!is_power_of_two(alignment)) return refuse_invalid(user, errno);
  } else if (op->kind == OP_MEMALIGN) {
    user = heap->memalign(alignment, size);
    if (alignment > (size_t)1 << 63) return refuse_invalid(user, errno);
    alignment = round_up_alignment(alignment);
  } else {
    int error = heap->posix_memalign(&user, alignment, size);
    check_errno_kept("posix_memalign");
    ORACLE_CHECK(error, error == 0 || user == &nothing, "posix_memalign failed and changed the result");
    if (error != 0) user = NULL;
    if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0) return refuse_invalid(user, error);
    errno = error;
  }
  return enter(model, op->slot, user, size, alignment, false, refused);
}

static struct outcome call_page_alloc(struct model *model, const struct op *op, const struct op_arguments *arguments,
                                      size_t refused) {
  size_t size = arguments->size;
  if (!arguments->whole_pages) return enter(model, op->slot, model->heap->valloc(size), size, PAGE, false, refused);
  void *user = model->heap->pvalloc(size);
  size_t rounded = size > SIZE_MAX - PAGE ? SIZE_MAX : (size + PAGE - 1) & ~(PAGE - 1);
  return enter(model, op->slot, user, rounded == 0 ? PAGE : rounded, PAGE, false, refused);
}

static struct outcome call_realloc(struct model *model, const struct op *op, const struct op_arguments *arguments,
                                   size_t refused) {
  const struct heap *heap = model->heap;
  void *user = model->slots[op->slot].user;
  if (user != NULL) model_verify(model, op->slot);
  errno = ERRNO_BEFORE;
  if (user != NULL && arguments->bytes == 0) {
    model_leave(model, op->slot);
    void *none =
        op->kind == OP_REALLOC ? heap->realloc(user, 0) : heap->reallocarray(user, arguments->count, arguments->size);
    ORACLE_CHECK(error, none == NULL, "realloc to 0 bytes gave a block");
    check_errno_kept("realloc to 0 bytes");
    return (struct outcome){.refused = heap->memory->refused - refused};
  }
  model->slots[op->slot].moving = true;
  void *resized = op->kind == OP_REALLOC ? heap->realloc(user, arguments->size)
                                         : heap->reallocarray(user, arguments->count, arguments->size);
  model->slots[op->slot].moving = false;
  if (user == NULL) return enter(model, op->slot, resized, arguments->bytes, 0, false, refused);
  struct outcome outcome = {.allocated = resized != NULL,
                            .refused = heap->memory->refused - refused,
                            .crowded = is_crowded(model, arguments->bytes, 0)};
  if (resized != NULL) {
    model_resize(model, op->slot, resized, arguments->bytes);
  } else {
    outcome.error = errno;
    model_no_block(model, arguments->bytes, 0, errno, outcome.refused);
    model_verify(model, op->slot);
    model_check_retried(model, arguments->bytes);
  }
  return outcome;
}

static void call_trim(struct model *model, const struct op_arguments *arguments) {
  errno = ERRNO_BEFORE;
  model_trim(model, arguments->size);
  check_errno_kept("trim");
}

static struct outcome call_allocation(struct model *model, const struct op *op, const struct op_arguments *arguments) {
  const struct heap *heap = model->heap;
  size_t refused = heap->memory->refused;
  if (op->kind == OP_REALLOC || op->kind == OP_REALLOCARRAY) return call_realloc(model, op, arguments, refused);
  if (model->slots[op->slot].user != NULL) call_free(model, op->slot);
  refused = heap->memory->refused;
  errno = ERRNO_BEFORE;
  if (op->kind == OP_MALLOC) {
    return enter(model, op->slot, heap->malloc(arguments->size), arguments->size, 0, false, refused);
  }
  if (op->kind == OP_CALLOC) {
    void *user = heap->calloc(arguments->count, arguments->size);
    return enter(model, op->slot, user, arguments->bytes, 0, true, refused);
  }
  if (op->kind == OP_PAGE_ALLOC) return call_page_alloc(model, op, arguments, refused);
  return call_aligned(model, op, arguments, refused);
}

// Programs may repeat what looks at the whole heap more often than it can find anything.
static bool looks_again(struct model *model) { return model->whole_looks++ < WHOLE_LOOKS_MAX; }

struct outcome call_operation(struct model *model, const struct op *op, const struct op_arguments *arguments) {
  struct fake_memory_state *memory = model->heap->memory;
  size_t refused = memory->refused;
  switch (op->kind) {
    case OP_MALLOC:
    case OP_CALLOC:
    case OP_REALLOC:
    case OP_REALLOCARRAY:
    case OP_ALIGNED_ALLOC:
    case OP_POSIX_MEMALIGN:
    case OP_MEMALIGN:
    case OP_PAGE_ALLOC:
      return call_allocation(model, op, arguments);
    case OP_FREE:
      call_free(model, op->slot);
      break;
    case OP_FREE_SIZED:
      call_free_sized(model, op->slot);
      break;
    case OP_FREE_RANGE:
      call_free_range(model, op, arguments);
      break;
    case OP_WRITE:
      if (model->slots[op->slot].user != NULL) model_write(model, op->slot);
      break;
    case OP_USABLE_SIZE:
      if (model->slots[op->slot].user != NULL) model_verify_usable(model, op->slot);
      break;
    case OP_VERIFY:
      if (looks_again(model)) model_verify_all(model);
      break;
    case OP_TRIM:
      if (looks_again(model)) call_trim(model, arguments);
      break;
    case OP_STATISTICS:
      if (looks_again(model)) model_check_figures(model);
      break;
    case OP_CHECK_HEAP:
      if (looks_again(model)) model_check_calls(model);
      break;
    case OP_CLOCK:
      memory->milliseconds += arguments->milliseconds;
      break;
    case OP_FAULT:
      memory->fail_kinds = arguments->fault.kinds;
      memory->fail_after = arguments->fault.after;
      memory->fail_count = arguments->fault.count;
      break;
    case OP_PURGE_MODE:
      memory->purge_mode = (enum fake_purge_mode)(arguments->purge_mode % FAKE_PURGE_MODES);
      break;
    case OP_THREAD_SWITCH:
      model->heap->play_thread(arguments->thread);
      break;
    case OP_THREAD_EXIT:
      return (struct outcome){.lingers = model->heap->end_thread(arguments->thread, op->selector % 2 != 0)};
  }
  return (struct outcome){.refused = memory->refused - refused};
}
