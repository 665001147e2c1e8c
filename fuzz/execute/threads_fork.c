// SPDX-License-Identifier: Apache-2.0
//
// What a child of a fork does with the heap, and how its parent hears of it. Layer: execute. Not instrumented.

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz/execute/execute.h"
#include "fuzz/execute/threads.h"

// What a thread may have in hand of each class: two chains of at most 128 blocks, a block, and with the Box a quarantine.
// docs/design.md.
#define LOST_OF_A_THREAD (2 * 128 + 1)
#define LOST_IN_QUARANTINE 96

static void let_signals_end_it(void) {
  static const int signals[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
  sigset_t none;
  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) signal(signals[i], SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

// Blocks of all kinds, in slots that are free.
static void allocate(struct model *model, size_t live_bytes_max) {
  static const uint8_t sizes[] = {16, 100, 250};
  unsigned slot = 0;
  for (unsigned kind = OP_MALLOC; kind <= OP_PAGE_ALLOC; kind++) {
    for (size_t i = 0; i < sizeof sizes; i++) {
      while (slot < MODEL_SLOTS && model->slots[slot].user != NULL) slot++;
      if (slot == MODEL_SLOTS) return;
      struct op op = {.kind = (uint8_t)kind, .slot = (uint8_t)slot, .selector = sizes[i]};
      struct op_arguments arguments = op_resolve(&op);
      if (arguments.bytes > live_bytes_max - model->live_bytes || model->live_bytes > live_bytes_max) continue;
      call_operation(model, &op, &arguments);
    }
  }
}

static void look(struct model *model, uint32_t others) {
  size_t lost = (size_t)__builtin_popcount(others) *
                (LOST_OF_A_THREAD + (model->heap->checks_level == 2 ? LOST_IN_QUARANTINE : 0));
  const char *held = model->heap->held_lock();
  ORACLE_CHECK(fork, held == NULL, "in a child: %s", held);
  model_check_conservation_but(model, lost);
  // Without the Box nothing says which blocks were not finished.
  if (others == 0 || model->heap->checks_level == 2) model_check_calls(model);
  if (others == 0) model_check_statistics(model);
}

void threads_child(struct model *model, uint32_t others, size_t live_bytes_max) {
  let_signals_end_it();
  oracle_note_operation(0, model->heap->name, "child of a fork");
  for (unsigned slot = 0; slot < MODEL_SLOTS; slot++) {
    // What another thread was about to move is nobody's.
    if (model->slots[slot].user == NULL || !model->slots[slot].moving) continue;
    model->slots[slot].user = NULL;
    slot_remove(&model->live, slot);
  }
  model->heap->memory->fail_kinds = 0;
  model_verify_all(model);
  look(model, others);
  allocate(model, live_bytes_max);
  look(model, others);
  for (unsigned slot = 0; slot < MODEL_SLOTS; slot++) {
    if (model->slots[slot].user != NULL) call_free(model, slot);
  }
  look(model, others);
  if (others == 0) {
    model_check_drained(model, false);
  } else {
    model->heap->trim(0);
    look(model, others);
  }
  _exit(0);
}

void threads_await_child(int child, bool hangs) {
  int status = 0;
  if (hangs) kill(child, SIGKILL);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  ORACLE_CHECK(fork, !hangs, "a child did not end within %d s", THREADS_CHILD_SECONDS);
  ORACLE_CHECK(fork, status == 0, "a child ended with status 0x%x", (unsigned)status);
  // Another oracle spoke in the child, or it crashed.
  if (status != 0) abort();
}
