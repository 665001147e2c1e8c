// SPDX-License-Identifier: Apache-2.0
//
// Every size and alignment gets the class that a search through the list of classes finds, and the blocks of a class lie where
// they should. An input is a sequence of requests of 4 bytes: the size, the alignment, and how many blocks.

#include <string.h>

#include "fuzz/heap/heap.h"
#include "fuzz/model/model.h"
#include "fuzz/op/op_target.h"
#include "fuzz/targets/target.h"
#include "hakmem/hakmem.h"

#define ORDINARY 16

// The class with the smallest blocks that serves a request; 0 if none does.
static unsigned search_class(const struct hak_statistics *all, size_t size, size_t alignment) {
  unsigned found = 0;
  for (unsigned i = 1; i < all->classes; i++) {
    const struct hak_class_statistics *one = &all->by_class[i];
    bool serves =
        alignment <= ORDINARY ? one->alignment == ORDINARY : one->alignment > ORDINARY && one->alignment >= alignment;
    if (!serves || one->block_size - 1 < size) continue;
    if (found == 0 || one->block_size < all->by_class[found].block_size) found = i;
  }
  return found;
}

static void check_request(const struct heap *heap, const struct hak_statistics *all, struct model *model,
                          const struct op_request *request, unsigned first_slot) {
  size_t size = request->size, alignment = request->alignment;
  unsigned wanted = size > heap->small_max ? 0 : search_class(all, size, alignment);
  for (unsigned i = 0; i < request->count; i++) {
    void *user = alignment == 0 ? heap->malloc(size) : heap->aligned_alloc(alignment, size);
    ORACLE_CHECK(error, user != NULL, "NULL for %zu bytes, alignment %zu", size, alignment);
    if (user == NULL) continue;
    model_enter(model, first_slot + i, user, size, alignment, false);
    unsigned given = model->slots[first_slot + i].place.size_class;
    ORACLE_CHECK(usable, given == wanted, "%zu bytes, alignment %zu, are of class %u and should be of %u", size,
                 alignment, given, wanted);
  }
}

static void run(const struct heap *heap, const uint8_t *data, size_t size) {
  static struct model model;
  struct hak_statistics all;
  size_t requests = op_request_count(size);
  heap->reset(OP_REQUEST_OPTIONS);
  model_begin(&model, heap);
  heap->get_statistics(&all, sizeof all);
  for (size_t i = 0; i < requests; i++) {
    oracle_note_operation(i, heap->name, "request");
    struct op_request request = op_read_request(data, i);
    check_request(heap, &all, &model, &request, (unsigned)i * OP_REQUEST_BLOCKS_MAX);
  }
  for (unsigned slot = 0; slot < MODEL_SLOTS; slot++) {
    void *user = model.slots[slot].user;
    if (user == NULL) continue;
    model_leave(&model, slot);
    heap->free(user);
  }
  oracle_note_operation(requests, heap->name, "end");
  model_check_drained(&model, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size % 2 == 0) {
    run(heap_direct_small(), data, size);
    run(heap_box_small(), data, size);
  } else {
    run(heap_direct(), data, size);
    run(heap_box(), data, size);
  }
  return 0;
}
