// SPDX-License-Identifier: Apache-2.0
//
// A heap for tests of the model: right by itself, and wrong in one way when it is told to be. Class 1 has blocks of 256 bytes
// in one slab; what is larger has one of a few runs of 8 KiB.

#ifndef FUZZ_MODEL_FAKE_HEAP_H_
#define FUZZ_MODEL_FAKE_HEAP_H_

#include <stdlib.h>
#include <string.h>

#include <functional>
#include <vector>

#include "fuzz/heap/heap.h"
#include "hakmem/hakmem.h"

class FakeHeap {
 public:
  static constexpr size_t kStride = 256, kSmallBlocks = 32, kRun = 8192, kRuns = 8, kSlab = 8192, kMetadata = 192,
                          kWindow = kSlab + kRuns * kRun;

  // How it is wrong.
  std::function<void(hak_statistics *)> spoil_statistics = [](hak_statistics *) {};
  std::function<void(heap_visit, void *)> visit_more = [](heap_visit, void *) {};
  std::function<void(heap_place *)> spoil_place = [](heap_place *) {};
  std::function<size_t(size_t)> spoil_usable = [](size_t usable) { return usable; };
  std::function<void(heap_tables *)> spoil_tables = [](heap_tables *) {};
  size_t table_growth = 0;  // with each block
  bool unmaps = false;      // what is free
  const char *structure = nullptr, *visit_error = nullptr, *lock = nullptr;
  bool nowhere = false, broken = false, keeps_cached = false, skips_first = false, visits_none = false;
  size_t resident = 0, dirty = 0;

  size_t trims = 0;
  size_t purged = 0;
  std::function<int(int)> spoil_answer = [](int answer) { return answer; };

  explicit FakeHeap(unsigned checks_level = 0) {
    current = this;
    memory_ = {};
    memory_.held_window_bytes = kWindow;
    memory_.calls = 3;
    memory_.given_back_bytes = 1000;
    memory_.held_table_bytes = 4096;
    memory_.limit = SIZE_MAX;
    arena_ = static_cast<char *>(aligned_alloc(kRun, kWindow));
    memset(arena_, 0, kWindow);
    door_ = {};
    door_.name = "fake";
    door_.checks_level = checks_level;
    door_.slab_bytes = kSlab;
    door_.superslab_bytes = 32 * kSlab;
    door_.window_bytes = 1 << 20;
    door_.small_max = kStride - 1;
    door_.memory = &memory_;
    door_.malloc = [](size_t size) { return current->Malloc(size); };
    door_.free = [](void *user) { current->Free(user); };
    door_.usable_size = [](const void *user) { return current->UsableSize(user); };
    door_.trim = [](size_t keep) { return current->Trim(keep); };
    door_.get_statistics = [](hak_statistics *all, size_t) { return current->Statistics(all); };
    door_.check_heap = [](hak_misuse *misuse) {
      misuse->message = "broken";
      return current->broken ? 1 : 0;
    };
    door_.play_thread = [](unsigned) {};
    door_.end_thread = [](unsigned, bool) {
      current->Trim(0);
      return false;
    };
    door_.locate = [](const void *user, heap_place *place) { return current->Locate(user, place); };
    door_.header = [](const void *user) { return static_cast<uint8_t *>(const_cast<void *>(user)) - 1; };
    door_.visit_free = [](heap_visit visit, void *context) { return current->VisitFree(visit, context); };
    door_.check_structure = [] { return current->structure; };
    door_.count_tables = [] {
      heap_tables known = {kMetadata, current->memory_.held_table_bytes};
      current->spoil_tables(&known);
      return known;
    };
    door_.resident_bytes = [] { return current->resident; };
    door_.held_lock = [] { return current->lock; };
  }
  ~FakeHeap() { ::free(arena_); }
  FakeHeap(const FakeHeap &) = delete;
  FakeHeap &operator=(const FakeHeap &) = delete;

  const heap *door() const { return &door_; }
  fake_memory_state *memory() { return &memory_; }
  char *small(size_t index) const { return arena_ + 16 + index * kStride; }
  char *run(size_t index) const { return arena_ + kSlab + index * kRun; }

  void *Malloc(size_t size) {
    std::vector<size_t> &sizes = size < kStride ? small_ : large_;
    const size_t count = size < kStride ? kSmallBlocks - 1 : kRuns;
    for (size_t i = skips_first ? 1 : 0; i < count; ++i) {
      if (i >= sizes.size()) sizes.resize(i + 1, kFree);
      if (sizes[i] != kFree) continue;
      sizes[i] = size;
      memory_.held_table_bytes += table_growth;
      memory_.held_window_bytes = kWindow;
      if (size >= kStride) return run(i);
      small(i)[-1] = static_cast<char>(0x81);
      return small(i);
    }
    return nullptr;
  }

  void Free(void *user) {
    for (size_t i = 0; i < small_.size(); ++i) {
      if (user == small(i)) small_[i] = kFree;
    }
    for (size_t i = 0; i < large_.size(); ++i) {
      if (user == run(i)) large_[i] = kFree;
    }
  }

 private:
  static constexpr size_t kFree = SIZE_MAX;

  static size_t Live(const std::vector<size_t> &sizes) {
    size_t live = 0;
    for (const size_t size : sizes) live += size != kFree;
    return live;
  }

  int Trim(size_t keep) {
    const size_t given_back = dirty > keep ? dirty : 0;
    trims++;
    dirty -= given_back;
    purged += given_back;
    memory_.given_back_bytes += given_back;
    if (Live(small_) == 0 && !keeps_cached) small_.clear();
    if (small_.empty() && Live(large_) == 0 && unmaps) memory_.held_window_bytes = 0;
    return spoil_answer(given_back != 0);
  }

  bool Locate(const void *user, heap_place *place) {
    const size_t offset = static_cast<size_t>(static_cast<const char *>(user) - arena_);
    if (nowhere) return false;
    *place = {};
    if (offset < kSlab) {
      place->size_class = 1;
      place->index = static_cast<uint32_t>(offset / kStride);
      place->usable = kStride - 1;
      place->alignment = 16;
      place->run = skips_first ? 32 : 0;
    } else {
      place->run = static_cast<uint32_t>(1 + (offset - kSlab) / kRun);
      place->usable = kRun;
    }
    spoil_place(place);
    return true;
  }

  size_t UsableSize(const void *user) {
    const size_t offset = static_cast<size_t>(static_cast<const char *>(user) - arena_);
    const bool is_small = offset < kSlab;
    const size_t index = is_small ? offset / kStride : (offset - kSlab) / kRun;
    const std::vector<size_t> &sizes = is_small ? small_ : large_;
    const size_t size = index < sizes.size() && sizes[index] != kFree ? sizes[index] : 0;
    return spoil_usable(door_.checks_level == 2 ? size : is_small ? kStride - 1 : kRun);
  }

  int Statistics(hak_statistics *all) {
    *all = {};
    all->classes = 2;
    hak_class_statistics *const one = &all->by_class[1];
    one->block_size = kStride;
    one->alignment = 16;
    one->blocks_carved = small_.size();
    one->blocks_live = Live(small_);
    one->blocks_cached = one->blocks_carved - one->blocks_live;
    one->slab_bytes = small_.empty() ? 0 : kSlab;
    all->small_live_bytes = one->blocks_live * (kStride - 1);
    all->large_live_blocks = Live(large_);
    all->large_live_bytes = all->large_bytes = all->large_live_blocks * kRun;
    all->live_bytes = all->small_live_bytes + all->large_live_bytes;
    all->cached_bytes = one->blocks_cached * kStride;
    all->slab_bytes = one->slab_bytes;
    all->dirty_bytes = dirty;
    all->committed_bytes = all->slab_bytes + all->large_bytes + all->dirty_bytes;
    all->mapped_bytes = memory_.held_window_bytes;
    all->system_calls = memory_.calls;
    all->metadata_bytes = kMetadata;
    all->purged_bytes = 1000 + purged;
    spoil_statistics(all);
    return 0;
  }

  const char *VisitFree(heap_visit visit, void *context) {
    for (size_t i = 0; i < small_.size() && !visits_none; ++i) {
      if (small_[i] == kFree) visit(context, small(i), 1);
    }
    visit_more(visit, context);
    return visit_error;
  }

  static inline FakeHeap *current;
  heap door_;
  fake_memory_state memory_;
  char *arena_;
  // What was asked for of each block that was carved.
  std::vector<size_t> small_, large_;
};

#endif  // FUZZ_MODEL_FAKE_HEAP_H_
