// SPDX-License-Identifier: Apache-2.0
//
// The model against a heap that is wrong in one way: the oracle that is there for it notices, and no other does; and nothing is
// noticed where nothing is wrong: model, model_whole.

#include "fuzz/model/model.h"

#include <errno.h>

#include "fuzz/model/fake_heap.h"
#include "fuzz/model/oracle_test_support.h"

namespace {

struct Trial {
  explicit Trial(unsigned checks_level = 0) : fake(checks_level) { model_begin(&all, fake.door()); }
  void Enter(unsigned slot, size_t size, size_t alignment = 0, bool zeroed = false) {
    model_enter(&all, slot, fake.Malloc(size), size, alignment, zeroed);
  }
  void Free(unsigned slot) {
    void *const user = all.slots[slot].user;
    model_leave(&all, slot);
    fake.Free(user);
  }
  char *user(unsigned slot) { return all.slots[slot].user; }
  FakeHeap fake;
  model all;
};

using Body = std::function<void(Trial &)>;

std::function<void()> With(const Body &body, unsigned checks_level = 0) {
  return [=] {
    Trial trial(checks_level);
    body(trial);
  };
}

// ---- Nothing is wrong -----------------------------------------------------------------------------------------------

void UseHeap(Trial &trial) {
  for (unsigned slot = 0; slot < 20; ++slot) trial.Enter(slot, slot * 12, slot % 2 == 0 ? 16 : 0, slot % 3 == 0);
  trial.Enter(30, 8000);
  trial.Enter(200, 5000, 4096);
  model_verify_all(&trial.all);
  model_write(&trial.all, 3);
  model_verify_usable(&trial.all, 3);
  for (unsigned slot = 0; slot < 10; ++slot) trial.Free(slot);
  model_check_statistics(&trial.all);
  model_check_conservation(&trial.all);
  model_check_calls(&trial.all);
  trial.Enter(5, 100);
  // From one size to another where it is.
  trial.fake.Free(trial.user(30));
  void *const same = trial.fake.Malloc(7000);
  model_resize(&trial.all, 30, same, 7000);
  for (unsigned slot = 0; slot < MODEL_SLOTS; ++slot) {
    if (trial.user(slot) != nullptr) trial.Free(slot);
  }
  for (const bool by_trim : {false, true}) model_check_drained(&trial.all, by_trim);
}

TEST(ModelTest, AHeapThatIsRight) {
  for (const unsigned level : {0u, 2u}) ExpectNoOracle(With(UseHeap, level));
}

TEST(ModelTest, WhatWasFreedIsRemembered) {
  Trial trial;
  trial.Enter(4, 100);
  const void *const user = trial.user(4);
  EXPECT_EQ(1u, trial.all.live_blocks);
  EXPECT_EQ(100u, trial.all.live_bytes);
  trial.Free(4);
  EXPECT_EQ(user, trial.all.freed[4]);
  EXPECT_EQ(1u, trial.all.freed_place[4].size_class);
  EXPECT_EQ(4u, slot_first(&trial.all.has_freed));
  EXPECT_EQ(0u, trial.all.live_blocks);
  EXPECT_EQ(0u, trial.all.live_bytes);
  // Until it is handed out again.
  trial.Enter(70, 100);
  EXPECT_EQ(user, trial.user(70));
  EXPECT_EQ(nullptr, trial.all.freed[4]);
  EXPECT_EQ(unsigned{MODEL_SLOTS}, slot_first(&trial.all.has_freed));
  EXPECT_EQ(70u, slot_first(&trial.all.live));
  EXPECT_EQ(unsigned{MODEL_SLOTS}, slot_next(&trial.all.live, 70));
}

// ---- A call ---------------------------------------------------------------------------------------------------------

TEST(ModelTest, Overlap) {
  ExpectOracle("overlap", With([](Trial &trial) {
                 trial.Enter(0, 100);
                 model_enter(&trial.all, 1, trial.user(0), 100, 0, false);
               }));
  ExpectOracle("overlap", With([](Trial &trial) {
                 trial.Enter(9, 5000);
                 trial.fake.spoil_place = [](heap_place *place) { place->usable = 16; };
                 trial.fake.spoil_usable = [](size_t) { return 16; };
                 model_enter(&trial.all, 1, trial.user(9) + 4096, 1, 0, false);
               }));
  ExpectOracle("overlap", With([](Trial &trial) {
                 trial.fake.nowhere = true;
                 trial.fake.spoil_usable = [](size_t) { return 100; };
                 trial.Enter(0, 100);
               }));
}

TEST(ModelTest, Alignment) {
  const auto off = [](size_t bytes, size_t alignment) {
    return With([=](Trial &trial) {
      model_enter(&trial.all, 0, static_cast<char *>(trial.fake.Malloc(5000)) + bytes, 1000, alignment, false);
    });
  };
  ExpectOracle("alignment", off(8, 0));
  ExpectOracle("alignment", off(1, 16));
  ExpectOracle("alignment", off(2048, 4096));
  ExpectNoOracle(off(2048, 1024));
}

TEST(ModelTest, Header) {
  for (const char header : {char(0), char(1), char(0x82), char(0xC1)}) {
    ExpectOracle("header", With([=](Trial &trial) {
                   trial.Enter(0, 100);
                   trial.user(0)[-1] = header;
                   model_verify(&trial.all, 0);
                 }));
  }
}

TEST(ModelTest, Usable) {
  const auto room = [](size_t room, size_t size, unsigned level) {
    return With(
        [=](Trial &trial) {
          trial.fake.spoil_place = [=](heap_place *place) { place->usable = room; };
          if (level == 0) trial.fake.spoil_usable = [=](size_t) { return room; };
          trial.Enter(0, size);
        },
        level);
  };
  ExpectOracle("usable", room(99, 100, 0));
  ExpectOracle("usable", room(99, 100, 2));
  ExpectOracle("usable", room(5000, 5000, 2));  // a large block has a guard behind it
  ExpectNoOracle(room(5000, 5000, 0));
  ExpectNoOracle(room(5001, 5000, 2));
  // What malloc_usable_size says.
  for (const unsigned level : {0u, 2u}) {
    for (const int change : {-1, 1}) {
      ExpectOracle("usable", With(
                                 [=](Trial &trial) {
                                   trial.Enter(0, 100);
                                   trial.fake.spoil_usable = [=](size_t usable) { return usable + size_t(change); };
                                   model_verify_usable(&trial.all, 0);
                                 },
                                 level));
    }
  }
}

TEST(ModelTest, Content) {
  const auto after = [](const std::function<void(Trial &)> &look) {
    return With([=](Trial &trial) {
      trial.Enter(0, 100);
      trial.Enter(1, 100);
      trial.user(1)[254] ^= 1;  // also what was not asked for, but is usable
      look(trial);
    });
  };
  ExpectOracle("content", after([](Trial &trial) { model_verify(&trial.all, 1); }));
  ExpectOracle("content", after([](Trial &trial) { model_verify_all(&trial.all); }));
  ExpectOracle("content", after([](Trial &trial) { model_verify_usable(&trial.all, 1); }));
  ExpectOracle("content", after([](Trial &trial) { model_write(&trial.all, 1); }));
  ExpectOracle("content", after([](Trial &trial) { model_leave(&trial.all, 1); }));
  ExpectNoOracle(after([](Trial &trial) { model_verify(&trial.all, 0); }));
}

TEST(ModelTest, ContentThatReallocLoses) {
  const auto resize = [](size_t size, size_t spoilt) {
    return With([=](Trial &trial) {
      trial.Enter(0, 100);
      char *const moved = static_cast<char *>(trial.fake.Malloc(size));
      memcpy(moved, trial.user(0), size < 255 ? size : 255);
      moved[spoilt] ^= 1;
      model_resize(&trial.all, 0, moved, size);
    });
  };
  ExpectOracle("content", resize(5000, 0));
  ExpectOracle("content", resize(5000, 254));
  ExpectNoOracle(resize(5000, 255));
  ExpectOracle("content", resize(50, 49));
  ExpectNoOracle(resize(50, 50));
}

TEST(ModelTest, Zero) {
  const auto dirty = [](size_t size, size_t place, bool zeroed) {
    return With([=](Trial &trial) {
      char *const user = static_cast<char *>(trial.fake.Malloc(size));
      user[place] = 1;
      model_enter(&trial.all, 0, user, size, 0, zeroed);
    });
  };
  ExpectOracle("zero", dirty(100, 0, true));
  ExpectOracle("zero", dirty(100, 254, true));
  ExpectOracle("zero", dirty(5000, 4999, true));
  ExpectOracle("zero", dirty(5000, 8191, true));
  ExpectNoOracle(dirty(100, 0, false));
}

TEST(ModelTest, NoBlock) {
  const auto none = [](size_t bytes, size_t alignment, int error, size_t refused) {
    return With([=](Trial &trial) { model_no_block(&trial.all, bytes, alignment, error, refused); });
  };
  ExpectNoOracle(none(100, 0, ENOMEM, 1));
  ExpectOracle("error", none(100, 0, EINVAL, 1));
  ExpectOracle("error", none(100, 0, 0, 1));
  ExpectOracle("error", none(100, 0, ENOMEM, 0));
  // The window has 1 MiB.
  ExpectNoOracle(none(size_t{1} << 19, 0, ENOMEM, 0));
  ExpectNoOracle(none(100, size_t{1} << 19, ENOMEM, 0));
  ExpectNoOracle(none(SIZE_MAX, 0, ENOMEM, 0));
}

TEST(ModelTest, WhenTheWindowMayBeFull) {
  Trial trial;
  const size_t quarter = size_t{1} << 18, superslab = 32 * FakeHeap::kSlab;
  EXPECT_FALSE(model_may_run_out(&trial.all, quarter, 0));
  EXPECT_TRUE(model_may_run_out(&trial.all, quarter + 1, 0));
  trial.Enter(0, 5000);
  EXPECT_TRUE(model_may_run_out(&trial.all, quarter - 4999, 0));
  EXPECT_FALSE(model_may_run_out(&trial.all, quarter - 5000, 0));
  EXPECT_FALSE(model_may_run_out(&trial.all, 1, quarter / 5));
  EXPECT_TRUE(model_may_run_out(&trial.all, 1, quarter / 5 + 1));
  // Every third superslab is somebody else's.
  trial.fake.memory()->occupied = 3;
  EXPECT_FALSE(model_may_run_out(&trial.all, 1, 0));
  // Between them are two, and the Box's guards belong to a block; and half as much is much.
  EXPECT_FALSE(model_may_run_out(&trial.all, quarter / 2 - 5000, 0));
  EXPECT_TRUE(model_may_run_out(&trial.all, quarter / 2 - 4999, 0));
  // Of every three one more is, or both.
  trial.fake.memory()->occupied_more = 1;
  EXPECT_FALSE(model_may_run_out(&trial.all, 1, 0));
  trial.fake.memory()->occupied_more = 2;
  EXPECT_TRUE(model_may_run_out(&trial.all, 1, 0));
  trial.fake.memory()->occupied_more = 0;
  trial.fake.memory()->occupied = 2;
  EXPECT_FALSE(model_may_run_out(&trial.all, 1, 0));
  EXPECT_TRUE(model_may_run_out(&trial.all, superslab - 127, 0));
  trial.fake.memory()->occupied = 1;
  EXPECT_TRUE(model_may_run_out(&trial.all, 1, 0));
}

// ---- The heap as a whole --------------------------------------------------------------------------------------------

// Two small blocks are live, one is cached, one large is live.
void Populate(Trial &trial) {
  for (unsigned slot = 0; slot < 3; ++slot) trial.Enter(slot, 100);
  trial.Enter(3, 5000);
  trial.Free(1);
}

TEST(ModelTest, Statistics) {
  const std::vector<std::function<void(hak_statistics *)>> wrong = {
      [](hak_statistics *all) { all->small_live_bytes++; },
      [](hak_statistics *all) { all->large_live_blocks--; },
      [](hak_statistics *all) { all->large_live_bytes--; },
      [](hak_statistics *all) { all->live_bytes += 256; },
      [](hak_statistics *all) { all->cached_bytes--; },
      [](hak_statistics *all) { all->free_bytes++; },
      [](hak_statistics *all) { all->slab_bytes *= 2, all->committed_bytes += all->slab_bytes / 2; },
      [](hak_statistics *all) { all->committed_bytes--; },
      [](hak_statistics *all) { all->mapped_bytes += 4096; },
      [](hak_statistics *all) { all->system_calls++; },
      [](hak_statistics *all) { all->dirty_bytes = 1 << 30, all->committed_bytes += 1 << 30; },
      [](hak_statistics *all) { all->large_bytes -= 8192, all->committed_bytes -= 8192; },
      [](hak_statistics *all) {
        all->by_class[1].blocks_live--, all->by_class[1].blocks_free++, all->free_bytes += 256;
      },
      [](hak_statistics *all) { all->by_class[1].blocks_carved++; },
      [](hak_statistics *all) {
        all->by_class[1].slab_bytes -= 8000, all->slab_bytes -= 8000, all->committed_bytes -= 8000;
      },
  };
  ExpectNoOracle(With([](Trial &trial) {
    Populate(trial);
    model_check_statistics(&trial.all);
  }));
  for (size_t i = 0; i < wrong.size(); ++i) {
    SCOPED_TRACE("figure " + std::to_string(i));
    ExpectOracle("statistics", With([=](Trial &trial) {
                   Populate(trial);
                   trial.fake.spoil_statistics = wrong[i];
                   model_check_statistics(&trial.all);
                 }));
  }
  ExpectOracle("statistics", With([](Trial &trial) {
                 model_check_statistics(&trial.all);
                 trial.fake.spoil_statistics = [](hak_statistics *all) { all->purged_bytes--; };
                 model_check_statistics(&trial.all);
               }));
}

TEST(ModelTest, Trim) {
  const std::vector<std::function<void(FakeHeap *)>> wrong = {
      [](FakeHeap *fake) { fake->spoil_answer = [](int) { return 0; }; },
      [](FakeHeap *fake) { fake->spoil_answer = [](int answer) { return 2 * answer; }; },
      // Counts too little, too much; keeps too much; gives back what it may keep.
      [](FakeHeap *fake) {
        fake->spoil_answer = [=](int answer) { return fake->memory()->given_back_bytes++, answer; };
      },
      [](FakeHeap *fake) { fake->spoil_answer = [=](int answer) { return fake->purged++, answer; }; },
      [](FakeHeap *fake) { fake->spoil_answer = [=](int answer) { return fake->dirty = 5001, answer; }; },
      [](FakeHeap *fake) {
        fake->dirty = 5000;
        fake->spoil_answer = [=](int) {
          fake->purged += 5000;
          fake->memory()->given_back_bytes += 5000;
          fake->dirty = 0;
          return 1;
        };
      },
  };
  const auto trim = [](Trial &trial, size_t dirty) {
    trial.all.alone = true;
    trial.fake.memory()->limit = SIZE_MAX;
    if (trial.fake.dirty == 0) trial.fake.dirty = dirty;
    model_trim(&trial.all, 5000);
  };
  ExpectNoOracle(With([=](Trial &trial) {
    trim(trial, 5001);
    trim(trial, 5000);
  }));
  for (size_t i = 0; i < wrong.size(); ++i) {
    SCOPED_TRACE("number " + std::to_string(i));
    ExpectOracle("returned_memory", With([=](Trial &trial) {
                   wrong[i](&trial.fake);
                   trim(trial, 9000);
                 }));
  }
}

// A refused call excuses NULL only where a trim makes no room.
TEST(ModelTest, TrimBeforeFailing) {
  const auto retry = [](Trial &trial, size_t dirty) {
    trial.all.alone = true;
    trial.fake.memory()->limit = 1 << 20;
    trial.fake.dirty = dirty;
    model_check_retried(&trial.all, 50);
  };
  ExpectNoOracle(With([=](Trial &trial) { retry(trial, 0); }));
  ExpectOracle("error", With([=](Trial &trial) { retry(trial, 4096); }));
}

TEST(ModelTest, Conservation) {
  const std::vector<std::function<void(FakeHeap *)>> wrong = {
      // Free twice; free and live; in a list that should be empty; in none.
      [](FakeHeap *fake) { fake->visit_more = [fake](heap_visit visit, void *to) { visit(to, fake->small(1), 1); }; },
      [](FakeHeap *fake) { fake->visit_more = [fake](heap_visit visit, void *to) { visit(to, fake->small(0), 1); }; },
      [](FakeHeap *fake) { fake->visit_more = [fake](heap_visit visit, void *to) { visit(to, fake->small(9), 1); }; },
      [](FakeHeap *fake) { fake->visits_none = true; },
      [](FakeHeap *fake) { fake->visit_error = "a list is not whole"; },
      [](FakeHeap *fake) { fake->structure = "two layers disagree"; },
      [](FakeHeap *fake) { fake->spoil_statistics = [](hak_statistics *all) { all->by_class[1].blocks_carved++; }; },
      // A record in no list; a table that nobody knows any more, and one that two know.
      [](FakeHeap *fake) { fake->spoil_tables = [](heap_tables *known) { known->record_bytes -= 64; }; },
      [](FakeHeap *fake) { fake->spoil_statistics = [](hak_statistics *all) { all->metadata_bytes -= 64; }; },
      [](FakeHeap *fake) { fake->spoil_tables = [](heap_tables *known) { known->mapped_bytes -= 4096; }; },
      [](FakeHeap *fake) { fake->spoil_tables = [](heap_tables *known) { known->mapped_bytes += 4096; }; },
  };
  ExpectNoOracle(With([](Trial &trial) {
    Populate(trial);
    model_check_conservation(&trial.all);
    model_check_conservation(&trial.all);
  }));
  for (size_t i = 0; i < wrong.size(); ++i) {
    SCOPED_TRACE("number " + std::to_string(i));
    ExpectOracle("conservation", With([=](Trial &trial) {
                   Populate(trial);
                   wrong[i](&trial.fake);
                   model_check_conservation(&trial.all);
                 }));
  }
}

// Where the numbers are right all the same.
TEST(ModelTest, ConservationOfEachBlock) {
  ExpectOracle("conservation", With([](Trial &trial) {
                 Populate(trial);
                 trial.Free(2);
                 trial.fake.visits_none = true;
                 trial.fake.visit_more = [&](heap_visit visit, void *to) {
                   for (int i = 0; i < 2; ++i) visit(to, trial.fake.small(1), 1);
                 };
                 model_check_conservation(&trial.all);
               }));
  ExpectOracle("conservation", With([](Trial &trial) {
                 Populate(trial);
                 trial.all.slots[99] = trial.all.slots[0];
                 slot_add(&trial.all.live, 99);
                 trial.fake.spoil_statistics = [](hak_statistics *all) { all->by_class[1].blocks_carved++; };
                 model_check_conservation(&trial.all);
               }));
}

// After fork a child may lack what others had in hand, but has nothing twice.
TEST(ModelTest, ConservationWithLosses) {
  const auto lost = [](size_t blocks, size_t may_be) {
    return With([=](Trial &trial) {
      Populate(trial);
      trial.fake.spoil_statistics = [=](hak_statistics *all) { all->by_class[1].blocks_carved += blocks; };
      model_check_conservation_but(&trial.all, may_be);
    });
  };
  ExpectNoOracle(lost(2, 2));
  ExpectNoOracle(lost(0, 2));
  // What it has lost of the records is not known.
  ExpectNoOracle(With([](Trial &trial) {
    Populate(trial);
    trial.fake.spoil_tables = [](heap_tables *known) { known->record_bytes = known->mapped_bytes = 0; };
    model_check_conservation_but(&trial.all, 1);
  }));
  ExpectOracle("conservation", lost(3, 2));
  ExpectOracle("conservation", lost(1, 0));
}

TEST(ModelTest, Calls) {
  const auto after = [](const std::function<void(Trial &)> &spoil) {
    return With([=](Trial &trial) {
      spoil(trial);
      model_check_calls(&trial.all);
    });
  };
  ExpectNoOracle(after([](Trial &) {}));
  ExpectOracle("memory_calls", after([](Trial &trial) { trial.fake.memory()->error = "release of what is not held"; }));
  ExpectOracle("locks", after([](Trial &trial) { trial.fake.lock = "a lock is held"; }));
  ExpectOracle("check_heap", after([](Trial &trial) { trial.fake.broken = true; }));
  // A target that damages the heap on purpose says so.
  ExpectNoOracle(after([](Trial &trial) { trial.fake.broken = trial.all.damaged = true; }));
}

TEST(ModelTest, Drain) {
  const auto drained = [](const std::function<void(Trial &)> &spoil) {
    return With([=](Trial &trial) {
      Populate(trial);
      for (unsigned slot = 0; slot < 4; ++slot) {
        if (trial.user(slot) != nullptr) trial.Free(slot);
      }
      spoil(trial);
      model_check_drained(&trial.all, true);
    });
  };
  ExpectNoOracle(drained([](Trial &) {}));
  ExpectOracle("drain", drained([](Trial &trial) { trial.fake.keeps_cached = true; }));
  ExpectOracle("drain", drained([](Trial &trial) { trial.fake.dirty = 8192; }));
  ExpectOracle("drain", drained([](Trial &trial) { trial.fake.skips_first = true; }));
  ExpectOracle("drain", drained([](Trial &trial) { trial.fake.table_growth = 4096; }));
  // Where address space is limited, nothing stays mapped.
  ExpectOracle("drain", drained([](Trial &trial) { trial.fake.memory()->limit = 1 << 20; }));
  ExpectNoOracle(drained([](Trial &trial) {
    trial.fake.memory()->limit = 1 << 20;
    trial.fake.unmaps = true;
  }));
  ExpectOracle("returned_memory", drained([](Trial &trial) { trial.fake.resident = 4096; }));
}

// Each figure by itself. The oracle of the statistics would see that, too.
TEST(ModelTest, DrainLeavesNothing) {
  const std::vector<std::function<void(hak_statistics *)>> left = {
      [](hak_statistics *all) { all->live_bytes = 255; },
      [](hak_statistics *all) { all->cached_bytes = 256; },
      [](hak_statistics *all) { all->committed_bytes = 8192; },
  };
  for (const auto &spoil : left) {
    const auto drain = With([=](Trial &trial) {
      trial.fake.spoil_statistics = [&trial, spoil](hak_statistics *all) {
        if (trial.fake.trims > 0) spoil(all);
      };
      model_check_drained(&trial.all, true);
    });
    EXPECT_EXIT(RunWithOracles("drain", drain), ::testing::KilledBySignal(SIGABRT), "^fuzz: oracle drain: ");
    EXPECT_EXIT(RunWithOracles("-drain,-statistics", drain), ::testing::ExitedWithCode(0), "^$");
  }
}

// Memory that the system was told to refuse is granted for the end.
TEST(ModelTest, TheEndHasAllMemory) {
  Trial trial;
  trial.fake.memory()->fail_kinds = FAKE_ALL;
  trial.fake.memory()->purge_mode = FAKE_PURGE_REFUSES;
  model_check_drained(&trial.all, false);
  EXPECT_EQ(0u, trial.fake.memory()->fail_kinds);
  EXPECT_EQ(FAKE_PURGE_WORKS, trial.fake.memory()->purge_mode);
}

}  // namespace
