// SPDX-License-Identifier: Apache-2.0
//
// What the allocator holds: read from every layer, never allocated, and trimmed on request. Layer: api. Takes the locks
// of the layers one after the other. Test: tests/unit/statistics_test.cc.

#include <string.h>

#include "allocator/api/malloc_inline.h"
#include "allocator/api/process_lifecycle.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/base/size_class.h"
#include "allocator/os/os.h"
#include "allocator/os/text.h"
#include "allocator/page_arena/page_arena.h"
#include "allocator/shared_pool/shared_pool.h"
#include "allocator/thread_cache/thread_cache.h"
#include "hakmem/hakmem.h"

HAK_STATIC_ASSERT(HAK_CLASS_COUNT <= HAK_STATISTICS_CLASSES, "the public struct has room for every class");

static void read_class(unsigned size_class, struct hak_class_statistics *result) {
  struct shared_pool_statistics pool;
  shared_pool_read_statistics(size_class, &pool);
  size_t in_threads = thread_cache_count_blocks(size_class);
  size_t cached = pool.blocks_chained + in_threads;
  // Other threads may have moved blocks between the two readings.
  if (cached > pool.blocks_outside) cached = pool.blocks_outside;
  result->block_size = size_classes[size_class].stride;
  result->alignment = size_classes[size_class].alignment;
  result->blocks_carved = pool.blocks_carved;
  result->blocks_cached = cached;
  result->blocks_live = pool.blocks_outside - cached;
  result->blocks_free = pool.blocks_carved - pool.blocks_outside;
  result->slab_bytes = pool.slab_bytes;
}

static void read_statistics(struct hak_statistics *result) {
  memset(result, 0, sizeof *result);
  result->version = HAK_STATISTICS_VERSION;
  result->classes = HAK_CLASS_COUNT;
  bool ready = process_ready();
  result->system_calls = os_memory_calls();
  if (!ready) return;
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; size_class++) {
    struct hak_class_statistics *one = &result->by_class[size_class];
    read_class(size_class, one);
    result->small_live_bytes += one->blocks_live * (one->block_size - HAK_HEADER_BYTES);
    result->cached_bytes += one->blocks_cached * one->block_size;
    result->free_bytes += one->blocks_free * one->block_size;
    result->slab_bytes += one->slab_bytes;
  }
  struct page_arena_statistics arena;
  page_arena_read_statistics(&arena);
  result->threads = (uint32_t)thread_cache_count_threads();
  result->large_live_blocks = arena.large_blocks;
  result->large_live_bytes = arena.large_usable_bytes;
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) {
    size_t blocks, bytes;
    thread_cache_count_large(&blocks, &bytes);
    // As above: since the first reading other threads may have allocated large blocks and freed them.
    result->large_live_blocks -= blocks < arena.large_blocks ? blocks : arena.large_blocks;
    result->large_live_bytes -= bytes < arena.large_usable_bytes ? bytes : arena.large_usable_bytes;
  }
  result->live_bytes = result->small_live_bytes + result->large_live_bytes;
  result->large_bytes = arena.large_bytes;
  result->dirty_bytes = arena.dirty_bytes;
  result->committed_bytes = result->slab_bytes + result->large_bytes + result->dirty_bytes;
  result->mapped_bytes = arena.mapped_bytes;
  result->metadata_bytes = arena.metadata_bytes;
  result->purged_bytes = arena.purged_bytes;
}

HAK_PUBLIC int hak_get_statistics(struct hak_statistics *statistics, size_t size) {
  if (statistics == NULL || size < 16) {
    int error = os_error_get();
    os_error_set_invalid();
    int invalid = os_error_get();
    os_error_set(error);
    return invalid;
  }
  struct hak_statistics result;
  read_statistics(&result);
  memcpy(statistics, &result, size < sizeof result ? size : sizeof result);
  return 0;
}

static void print_field(struct text *text, const char *name, size_t value, const char *end) {
  text_string(text, "\"");
  text_string(text, name);
  text_string(text, "\": ");
  text_decimal(text, value);
  text_string(text, end);
}

static void print_class(struct text *text, unsigned size_class, const struct hak_class_statistics *one) {
  text_string(text, "    {");
  print_field(text, "class", size_class, ", ");
  print_field(text, "block_size", one->block_size, ", ");
  print_field(text, "alignment", one->alignment, ", ");
  print_field(text, "blocks_carved", one->blocks_carved, ", ");
  print_field(text, "blocks_live", one->blocks_live, ", ");
  print_field(text, "blocks_cached", one->blocks_cached, ", ");
  print_field(text, "blocks_free", one->blocks_free, ", ");
  print_field(text, "slab_bytes", one->slab_bytes, "}");
}

HAK_PUBLIC int hak_statistics_print(int file_descriptor) {
  struct hak_statistics all;
  read_statistics(&all);
  struct text text;
  text_begin(&text, file_descriptor);
  text_string(&text, "{\n  ");
  print_field(&text, "version", all.version, ",\n  ");
  print_field(&text, "threads", all.threads, ",\n  ");
  print_field(&text, "live_bytes", all.live_bytes, ",\n  ");
  print_field(&text, "small_live_bytes", all.small_live_bytes, ",\n  ");
  print_field(&text, "large_live_bytes", all.large_live_bytes, ",\n  ");
  print_field(&text, "large_live_blocks", all.large_live_blocks, ",\n  ");
  print_field(&text, "cached_bytes", all.cached_bytes, ",\n  ");
  print_field(&text, "free_bytes", all.free_bytes, ",\n  ");
  print_field(&text, "slab_bytes", all.slab_bytes, ",\n  ");
  print_field(&text, "large_bytes", all.large_bytes, ",\n  ");
  print_field(&text, "dirty_bytes", all.dirty_bytes, ",\n  ");
  print_field(&text, "committed_bytes", all.committed_bytes, ",\n  ");
  print_field(&text, "mapped_bytes", all.mapped_bytes, ",\n  ");
  print_field(&text, "metadata_bytes", all.metadata_bytes, ",\n  ");
  print_field(&text, "purged_bytes", all.purged_bytes, ",\n  ");
  print_field(&text, "system_calls", all.system_calls, ",\n");
  text_string(&text, "  \"classes\": [\n");
  const char *separator = "";
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; size_class++) {
    if (all.by_class[size_class].blocks_carved == 0) continue;
    text_string(&text, separator);
    print_class(&text, size_class, &all.by_class[size_class]);
    separator = ",\n";
  }
  text_string(&text, "\n  ]\n}\n");
  return text_end(&text);
}

static size_t purged_bytes(struct page_arena_statistics *arena) {
  page_arena_read_statistics(arena);
  return arena->purged_bytes;
}

// keep is a promise to leave memory, not to take more: what lies in dirty runs is all or nothing. What leaves a cache or a
// quarantine may be given back at once, long spans for example, so the answer is a difference of what was purged in all.
HAK_PUBLIC int hak_trim(size_t keep) {
  if (!process_ready()) return 0;
  int error = os_error_get();
  struct page_arena_statistics arena;
  size_t before = purged_bytes(&arena);
  if (!HAK_SEED_BUG(107)) thread_cache_drain();
  shared_pool_drain();
  size_t after = purged_bytes(&arena);
  if (HAK_SEED_BUG_IF(112, after != before)) before = after;
  bool limited = os_address_space_limit() != SIZE_MAX;
  if (limited || arena.dirty_bytes > keep || HAK_SEED_BUG(111)) after += page_arena_purge_all();
  os_error_set(error);
  return after != before;
}

bool trim_for(size_t bytes) {
  size_t limit = os_address_space_limit();
  if (limit == SIZE_MAX) {
    struct page_arena_statistics arena;
    page_arena_read_statistics(&arena);
    limit = arena.mapped_bytes;
  }
  // The Box may have let blocks go to their slabs, and given nothing back.
  return bytes <= limit && !HAK_SEED_BUG(113) && (hak_trim(0) != 0 || HAK_CHECKS_LEVEL == HAK_CHECKS_BOX);
}
