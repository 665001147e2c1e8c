// SPDX-License-Identifier: Apache-2.0
//
// The model of the heap as a whole: figures, free lists, memory. Looked at between calls, when a program says so and at its
// end. Layer: model. Not instrumented. Test: fuzz/model/model_test.cc.

#include "fuzz/model/model.h"
#include "hakmem/hakmem.h"

#define EQUAL(field, figure, wanted)                                                                     \
  ORACLE_CHECK(statistics, (figure) == (wanted), "%s is %zu and should be %zu", field, (size_t)(figure), \
               (size_t)(wanted))

static void check_class(const struct hak_class_statistics *one, unsigned size_class, size_t live) {
  ORACLE_CHECK(statistics, one->blocks_live == live, "class %u has %zu live blocks and should have %zu", size_class,
               one->blocks_live, live);
  ORACLE_CHECK(statistics, one->blocks_carved == one->blocks_live + one->blocks_cached + one->blocks_free,
               "class %u: %zu blocks were carved, and %zu + %zu + %zu exist", size_class, one->blocks_carved,
               one->blocks_live, one->blocks_cached, one->blocks_free);
  ORACLE_CHECK(statistics, one->blocks_carved * one->block_size <= one->slab_bytes,
               "class %u: %zu blocks in %zu bytes of slabs", size_class, one->blocks_carved, one->slab_bytes);
}

// A reading takes a few hundred locks; what is looked at together is read once.
static struct hak_statistics read_statistics(const struct model *model) {
  struct hak_statistics all;
  model->heap->get_statistics(&all, sizeof all);
  return all;
}

static void check_statistics(struct model *model, const struct hak_statistics *all) {
  size_t live[HAK_STATISTICS_CLASSES] = {0}, large_blocks = 0, large_bytes = 0, small_bytes = 0, slabs = 0, cached = 0,
         free_bytes = 0;
  for (unsigned i = slot_first(&model->live); i < MODEL_SLOTS; i = slot_next(&model->live, i)) {
    const struct model_block *block = &model->slots[i];
    if (block->place.size_class != 0) {
      live[block->place.size_class]++;
      small_bytes += block->place.usable;
    } else {
      large_blocks++;
      large_bytes += block->place.usable;
    }
  }
  for (unsigned size_class = 1; size_class < all->classes; size_class++) {
    const struct hak_class_statistics *one = &all->by_class[size_class];
    check_class(one, size_class, live[size_class]);
    slabs += one->slab_bytes;
    cached += one->blocks_cached * one->block_size;
    free_bytes += one->blocks_free * one->block_size;
  }
  EQUAL("small_live_bytes", all->small_live_bytes, small_bytes);
  EQUAL("large_live_blocks", all->large_live_blocks, large_blocks);
  EQUAL("large_live_bytes", all->large_live_bytes, large_bytes);
  EQUAL("live_bytes", all->live_bytes, small_bytes + large_bytes);
  EQUAL("cached_bytes", all->cached_bytes, cached);
  EQUAL("free_bytes", all->free_bytes, free_bytes);
  EQUAL("slab_bytes", all->slab_bytes, slabs);
  EQUAL("committed_bytes", all->committed_bytes, all->slab_bytes + all->large_bytes + all->dirty_bytes);
  EQUAL("mapped_bytes", all->mapped_bytes, model->heap->memory->held_window_bytes);
  EQUAL("system_calls", all->system_calls, model->heap->memory->calls);
  ORACLE_CHECK(statistics, all->committed_bytes <= all->mapped_bytes, "%zu bytes are committed, of %zu mapped",
               all->committed_bytes, all->mapped_bytes);
  ORACLE_CHECK(statistics, all->large_live_bytes <= all->large_bytes, "%zu large bytes are live, of %zu",
               all->large_live_bytes, all->large_bytes);
  ORACLE_CHECK(statistics, all->metadata_bytes <= model->heap->memory->held_table_bytes,
               "%zu bytes of metadata, of %zu in tables", all->metadata_bytes, model->heap->memory->held_table_bytes);
  ORACLE_CHECK(statistics, all->purged_bytes <= model->heap->memory->given_back_bytes,
               "%zu bytes were purged, and %zu given back", all->purged_bytes, model->heap->memory->given_back_bytes);
  ORACLE_CHECK(statistics, all->purged_bytes >= model->purged_bytes, "purged_bytes fell from %zu to %zu",
               model->purged_bytes, all->purged_bytes);
  model->purged_bytes = all->purged_bytes;
}

void model_check_statistics(struct model *model) {
  if (!oracle_is_on(ORACLE_statistics)) return;
  struct hak_statistics all = read_statistics(model);
  check_statistics(model, &all);
}

void model_trim(struct model *model, size_t keep) {
  const struct heap *heap = model->heap;
  const struct fake_memory_state *memory = heap->memory;
  struct hak_statistics before, after;
  if (!oracle_is_on(ORACLE_returned_memory) || !model->alone) {
    heap->trim(keep);
    return;
  }
  // get_statistics keeps errno, too.
  heap->get_statistics(&before, sizeof before);
  size_t refused = memory->refused, given_back = memory->given_back_bytes;
  int answer = heap->trim(keep);
  heap->get_statistics(&after, sizeof after);
  size_t purged = after.purged_bytes - before.purged_bytes;
  bool limited = memory->limit != SIZE_MAX, has_quarantine = heap->checks_level == 2;
  ORACLE_CHECK(returned_memory, answer == (purged != 0), "trim returned %d and gave back %zu bytes", answer, purged);
  // What leaves the quarantine goes at once, whatever is to be kept, and single pages of it are not counted; where address
  // space is limited, clean parts of a superslab go with it.
  size_t more = memory->given_back_bytes - given_back - purged;
  ORACLE_CHECK(returned_memory, more == 0 || ((has_quarantine || limited) && more <= SIZE_MAX / 2),
               "a trim counts %zu bytes as purged, and gave back %zu", purged, purged + more);
  if (memory->refused != refused || limited) return;
  ORACLE_CHECK(returned_memory, after.dirty_bytes <= keep, "trim(%zu) left %zu dirty bytes", keep, after.dirty_bytes);
  ORACLE_CHECK(returned_memory, purged == 0 || purged > keep || has_quarantine, "trim(%zu) gave back %zu bytes", keep,
               purged);
}

void model_check_retried(const struct model *model, size_t bytes) {
  const struct heap *heap = model->heap;
  struct fake_memory_state *memory = heap->memory;
  if (!oracle_is_on(ORACLE_error) || !model->alone || bytes > memory->limit) return;
  if (memory->fail_kinds != 0 || memory->purge_mode != FAKE_PURGE_WORKS || memory->limit == SIZE_MAX) return;
  if (heap->trim(0) == 0) return;
  void *user = heap->malloc(bytes);
  ORACLE_CHECK(error, user == NULL, "NULL for %zu bytes, for which a trim makes room", bytes);
}

// ---- Every block is somewhere, once ---------------------------------------------------------------------------------

#define SEEN_BITS 15
#define SEEN_SIZE (1u << SEEN_BITS)
#define PAGE_SHIFT 12

// An open table of the pages in which blocks begin that were seen in one walk. Entries of earlier walks have another
// generation. By pages, as a place of its own for each block would be another miss of the cache for each.
static struct {
  struct seen_page {
    uintptr_t page;
    uint64_t blocks[4];  // a bit for each place that is aligned as blocks are
    uint32_t generation;
  } pages[SEEN_SIZE];
  uint32_t now;
  size_t count;  // of pages
} seen;

static struct seen_page *see_page(uintptr_t page) {
  size_t i = page * 0x9E3779B97F4A7C15u >> (64 - SEEN_BITS);
  for (; seen.pages[i].generation == seen.now; i = (i + 1) % SEEN_SIZE) {
    if (seen.pages[i].page == page) return &seen.pages[i];
  }
  seen.pages[i] = (struct seen_page){.page = page, .generation = seen.now};
  seen.count++;
  return &seen.pages[i];
}

static bool see(const void *block) {
  struct seen_page *page = see_page((uintptr_t)block >> PAGE_SHIFT);
  size_t place = ((uintptr_t)block >> 4) % 256;
  uint64_t bit = (uint64_t)1 << place % 64;
  bool is_new = (page->blocks[place / 64] & bit) == 0;
  page->blocks[place / 64] |= bit;
  return is_new;
}

struct counts {
  size_t free[HAK_STATISTICS_CLASSES];
};

static void see_free(void *context, const void *user, unsigned size_class) {
  struct counts *counts = context;
  if (seen.count > SEEN_SIZE / 2) return;
  ORACLE_CHECK(conservation, see(user), "a block of class %u is free twice, or free and live", size_class);
  counts->free[size_class]++;
}

// Whoever has blocks in hand may also be giving back the run of the last of them, which does not count any more.
static bool may_be_lost(size_t carved, size_t found, size_t lost) {
  return carved < found ? lost > 0 : carved - found <= lost;
}

// Of the allocator's own memory, too, nothing is lost: what it took is in use, or is kept for reuse.
static void check_tables(const struct heap *heap, const struct hak_statistics *all) {
  const struct heap_tables known = heap->count_tables();
  ORACLE_CHECK(conservation, all->metadata_bytes == known.record_bytes,
               "%zu bytes of metadata were taken, and %zu are in use or kept", all->metadata_bytes, known.record_bytes);
  ORACLE_CHECK(conservation, heap->memory->held_table_bytes == known.mapped_bytes,
               "%zu bytes of tables are mapped, and %zu are in use or kept", heap->memory->held_table_bytes,
               known.mapped_bytes);
}

static void check_conservation(const struct model *model, const struct hak_statistics *all, size_t lost) {
  struct counts counts = {{0}};
  size_t live[HAK_STATISTICS_CLASSES] = {0};
  seen.now++;
  seen.count = 0;
  for (unsigned i = slot_first(&model->live); i < MODEL_SLOTS; i = slot_next(&model->live, i)) {
    ORACLE_CHECK(conservation, see(model->slots[i].user), "a block is live twice");
    live[model->slots[i].place.size_class]++;
  }
  const char *wrong = lost == 0 ? model->heap->check_structure() : NULL;
  ORACLE_CHECK(conservation, wrong == NULL, "%s", wrong);
  if (lost == 0) check_tables(model->heap, all);
  wrong = model->heap->visit_free(see_free, &counts);
  ORACLE_CHECK(conservation, wrong == NULL, "%s", wrong);
  for (unsigned size_class = 1; size_class < all->classes; size_class++) {
    size_t carved = all->by_class[size_class].blocks_carved;
    size_t found = live[size_class] + counts.free[size_class];
    ORACLE_CHECK(conservation, seen.count > SEEN_SIZE / 2 || may_be_lost(carved, found, lost),
                 "class %u: %zu blocks were carved, %zu are live and %zu in lists", size_class, carved,
                 live[size_class], counts.free[size_class]);
  }
}

void model_check_conservation(const struct model *model) { model_check_conservation_but(model, 0); }

void model_check_conservation_but(const struct model *model, size_t lost) {
  if (!oracle_is_on(ORACLE_conservation)) return;
  struct hak_statistics all = read_statistics(model);
  check_conservation(model, &all, lost);
}

static void check_figures(struct model *model, const struct hak_statistics *all) {
  if (oracle_is_on(ORACLE_statistics)) check_statistics(model, all);
  if (oracle_is_on(ORACLE_conservation)) check_conservation(model, all, 0);
}

void model_check_figures(struct model *model) {
  if (!oracle_is_on(ORACLE_statistics) && !oracle_is_on(ORACLE_conservation)) return;
  struct hak_statistics all = read_statistics(model);
  check_figures(model, &all);
}

void model_check_calls(struct model *model) {
  const char *wrong = model->heap->memory->error;
  ORACLE_CHECK(memory_calls, wrong == NULL, "%s", wrong);
  wrong = model->heap->held_lock();
  ORACLE_CHECK(locks, wrong == NULL, "%s", wrong);
  struct hak_misuse misuse;
  if (!oracle_is_on(ORACLE_check_heap) || model->damaged) return;
  ORACLE_CHECK(check_heap, model->heap->check_heap(&misuse) == 0, "hak_check_heap: %s", misuse.message);
}

// ---- The end --------------------------------------------------------------------------------------------------------

static void check_nothing_left(const struct hak_statistics *all, bool by_trim, bool limited) {
  const char *when = by_trim ? "a trim by each thread" : "each thread's end and a trim";
  ORACLE_CHECK(drain, all->live_bytes == 0, "%zu bytes are live after everything was freed", all->live_bytes);
  ORACLE_CHECK(drain, all->cached_bytes == 0, "%zu bytes are cached after %s", all->cached_bytes, when);
  ORACLE_CHECK(drain, all->committed_bytes == 0, "%zu bytes are committed after %s", all->committed_bytes, when);
  ORACLE_CHECK(drain, !limited || all->mapped_bytes == 0, "%zu bytes are mapped after %s", all->mapped_bytes, when);
}

// Each thread for itself gives back what it has: by a trim, or by its end.
static void give_everything_back(const struct heap *heap, bool by_trim) {
  for (unsigned thread = 0; thread < HEAP_THREADS; thread++) {
    if (by_trim) {
      heap->play_thread(thread);
      heap->trim(0);
    } else {
      heap->end_thread(thread, false);
    }
  }
  heap->trim(0);
}

// The lowest superslab that is free is used first, and the same block takes no new tables when it is allocated once more. A
// trim takes long, so that is not part of every end; where address space is limited, it may be granted what the first was
// refused.
static void check_first_place(const struct model *model, bool by_trim) {
  const struct heap *heap = model->heap;
  size_t tables_before = SIZE_MAX;
  bool again = by_trim && heap->memory->limit == SIZE_MAX;
  for (unsigned i = 0; i < 1u + again; i++) {
    struct heap_place place;
    if (i > 0) heap->trim(0);
    void *user = heap->malloc(1);
    if (user == NULL) return;
    bool located = heap->locate(user, &place);
    ORACLE_CHECK(drain, located && place.run < heap->superslab_bytes / heap->slab_bytes,
                 "the first block of an empty heap is in slab %u", place.run);
    size_t tables = heap->memory->held_table_bytes;
    ORACLE_CHECK(drain, tables <= tables_before, "the first block takes %zu bytes of tables, and %zu the time before",
                 tables, tables_before);
    tables_before = tables;
    heap->free(user);
  }
}

// What is dirty for longer than the delay is purged by whoever takes memory next.
static void check_delayed_purge(const struct model *model) {
  const struct heap *heap = model->heap;
  struct hak_statistics all;
  const size_t size = heap->small_max + 1;
  for (unsigned i = 0; i < 64; i++) {
    heap->memory->milliseconds += 3600001;
    void *user = heap->malloc(size);
    heap->get_statistics(&all, sizeof all);
    heap->free(user);
    if (user == NULL || all.dirty_bytes == 0) return;
  }
  ORACLE_CHECK(drain, false, "%zu bytes stay dirty for ever", all.dirty_bytes);
}

void model_check_drained(struct model *model, bool by_trim) {
  const struct heap *heap = model->heap;
  model_check_figures(model);
  heap->memory->fail_kinds = 0;
  heap->memory->purge_mode = FAKE_PURGE_WORKS;
  if (oracle_is_on(ORACLE_drain)) check_delayed_purge(model);
  give_everything_back(heap, by_trim);
  model_check_calls(model);
  struct hak_statistics all = read_statistics(model);
  check_nothing_left(&all, by_trim, heap->memory->limit != SIZE_MAX);
  check_figures(model, &all);
  size_t resident = heap->resident_bytes();
  ORACLE_CHECK(returned_memory, resident == 0, "%zu bytes are resident after a trim", resident);
  if (oracle_is_on(ORACLE_drain)) check_first_place(model, by_trim);
}
