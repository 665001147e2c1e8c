// SPDX-License-Identifier: Apache-2.0
//
// The two variants against each other. They are the same sources with the same policy, so they must answer alike: blocks and
// NULL, errno, size class, and the same block of the same run, as long as no memory call was refused to either (the Box makes
// more of them) and nothing waits in quarantine. Layer: execute. Not instrumented.

#include "fuzz/execute/execute.h"

// Runs have other numbers in the two heaps, as the Box's large blocks are longer. But two blocks share a run in one heap if
// they do in the other.
static void compare_runs(const struct execution *execution, unsigned slot) {
  const struct heap_place *first = &execution->models[0].slots[slot].place;
  const struct heap_place *second = &execution->models[1].slots[slot].place;
  ORACLE_CHECK(trace, first->index == second->index, "block %u of its run here, block %u there", first->index,
               second->index);
  const struct slot_set *live = &execution->models[0].live;
  for (unsigned i = slot_first(live); i < MODEL_SLOTS; i = slot_next(live, i)) {
    const struct model_block *a = &execution->models[0].slots[i], *b = &execution->models[1].slots[i];
    if (b->user == NULL || a->place.size_class == 0) continue;
    ORACLE_CHECK(trace, (a->place.run == first->run) == (b->place.run == second->run),
                 "the blocks in slots %u and %u share a run in one variant", slot, i);
  }
}

static void free_both(struct execution *execution, unsigned slot) {
  for (size_t i = 0; i < execution->heaps; i++) {
    if (execution->models[i].slots[slot].user != NULL) call_free(&execution->models[i], slot);
  }
}

// Where memory was refused to one of them, realloc may have left a block as it was.
static void compare_blocks(struct execution *execution, unsigned slot, bool refused) {
  const struct model_block *first = &execution->models[0].slots[slot], *second = &execution->models[1].slots[slot];
  if (refused && first->place.size_class != second->place.size_class) {
    free_both(execution, slot);
    return;
  }
  ORACLE_CHECK(differential, first->place.size_class == second->place.size_class,
               "%zu bytes are of class %u here, %u there", first->size, first->place.size_class,
               second->place.size_class);
  ORACLE_CHECK(differential, first->place.size_class == 0 || first->place.usable == second->place.usable,
               "%zu bytes have room for %zu here, %zu there", first->size, first->place.usable, second->place.usable);
  if (execution->same_trace && oracle_is_on(ORACLE_trace) && first->place.size_class != 0)
    compare_runs(execution, slot);
}

void compare_outcomes(struct execution *execution, const struct op *op, const struct outcome *outcomes) {
  const struct outcome *first = &outcomes[0], *second = &outcomes[1];
  bool refused = first->refused != 0 || second->refused != 0;
  bool crowded = first->crowded || second->crowded;
  // Where there is no room, one of them may have trimmed: its caches are empty then.
  if (refused || crowded) execution->same_trace = false;
  // A free may give a thread its cache with the Box and not without, where the block is large.
  if (first->lingers != second->lingers) execution->same_trace = false;
  if (first->allocated && second->allocated) {
    compare_blocks(execution, op->slot, refused);
  } else if (first->allocated != second->allocated) {
    // Where nothing was refused, only the window may have been too small for one of them.
    ORACLE_CHECK(differential, refused || crowded, "%s has a block, and %s none (errno %d)",
                 execution->models[first->allocated ? 0 : 1].heap->name,
                 execution->models[first->allocated ? 1 : 0].heap->name, first->error | second->error);
    execution->same_trace = false;
    free_both(execution, op->slot);
  } else {
    ORACLE_CHECK(differential, first->error == second->error, "errno %d here, %d there", first->error, second->error);
  }
}
