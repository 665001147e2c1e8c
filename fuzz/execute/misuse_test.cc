// SPDX-License-Identifier: Apache-2.0
//
// Misuse on a heap that lies about it: not reported, reported wrongly, or not without consequence. On heaps that do not lie,
// nothing is said.

#include <errno.h>
#include <gtest/gtest.h>

#include "fuzz/execute/lie_for_test.h"

namespace {

Input Misuse(op_misuse misuse, unsigned flags = 0, int delta = 1) {
  return Program([=](Input *input) {
    for (unsigned slot = 0; slot < 4; ++slot) Add(input, OP_MALLOC, 0, slot, Selector(100));
    const bool of_a_free_block = misuse == OP_MISUSE_DOUBLE_FREE || misuse == OP_MISUSE_WRITE_AFTER_FREE;
    if (of_a_free_block) Add(input, OP_FREE, 0, 1, 0);
    Add(input, OP_MISUSE, flags, 1, misuse, delta);
    if (of_a_free_block) Add(input, OP_MALLOC, 0, 5, Selector(100));
    Add(input, OP_VERIFY, 0, 0, 0);
  });
}

// The byte behind a large block that ends with a page is changed by what zeroes become the fill by; then by another one.
Input FillBehindAPage() {
  return Program([](Input *input) {
    for (unsigned slot = 0; slot < 2; ++slot) {
      Add(input, OP_PAGE_ALLOC, 1, slot, Selector(100000));
      Add(input, OP_MISUSE, 0, slot, OP_MISUSE_OVERFLOW, slot == 0 ? 0xFB - 256 : 1);
    }
  });
}

Input MisuseOfAnAlignedBlock(op_misuse misuse) {
  return Program([=](Input *input) {
    // 2 to the power of 6.
    Add(input, OP_ALIGNED_ALLOC, 0, 1, Selector(100), 6);
    Add(input, OP_MISUSE, 1, 1, misuse, 1);
  });
}

Input OverflowBesideDamage() {
  return Program([](Input *input) {
    for (unsigned slot = 0; slot < 4; ++slot) Add(input, OP_MALLOC, 0, slot, Selector(100));
    Add(input, OP_FREE, 0, 1, 0);
    Add(input, OP_MISUSE, 5, 1, OP_MISUSE_WRITE_AFTER_FREE, 1);
    Add(input, OP_MISUSE, 7, 2, OP_MISUSE_OVERFLOW, 1);
    Add(input, OP_MALLOC, 0, 5, Selector(100));
  });
}

// The slab of what is freed twice is free: the direct variant promises to notice that.
Input MisuseOfDirect(op_misuse misuse, size_t size) {
  return Program([=](Input *input) {
    Add(input, OP_MALLOC, 0, 0, Selector(size));
    Add(input, OP_MALLOC, 0, 1, Selector(size));
    if (misuse == OP_MISUSE_DOUBLE_FREE) {
      Add(input, OP_FREE, 0, 0, 0);
      Add(input, OP_FREE, 0, 1, 0);
      Add(input, OP_TRIM, 0, 0, 0);
    }
    Add(input, OP_MISUSE, 0, 1, misuse, 1);
  });
}

// The handler that the target set.
hak_misuse_handler handler;
hak_misuse_handler NoteHandler(hak_misuse_handler wanted) {
  handler = wanted;
  return honest->set_misuse_handler(wanted);
}

void Report(hak_misuse_kind kind, const void *pointer) {
  hak_misuse misuse = {};
  misuse.kind = kind;
  misuse.message = "a lie";
  misuse.function = "free";
  misuse.pointer = pointer;
  handler(&misuse);
}

// ---- Of misuse ------------------------------------------------------------------------------------------------------

class OfMisuse : public ALie {};

TEST_P(OfMisuse, IsFound) { ExpectFound(heap_box_small(), nullptr); }

// What the direct variant promises, by one that goes on as if nothing were wrong.
void FreesOnlyWhatIsThere() {
  lying.free = [](void *user) {
    heap_place place;
    if (honest->locate(user, &place)) honest->free(user);
  };
}

class OfDirect : public ALie {};

TEST_P(OfDirect, IsFound) { ExpectFound(heap_direct_small(), nullptr); }

INSTANTIATE_TEST_SUITE_P(Promises, OfDirect,
                         testing::Values(Lie{"DoubleFreeOfAFreeSlab", "misuse", "0 reports of one misuse.*double_free",
                                             MisuseOfDirect(OP_MISUSE_DOUBLE_FREE, 100), FreesOnlyWhatIsThere},
                                         Lie{"Foreign", "misuse", "0 reports of one misuse.*free_foreign",
                                             MisuseOfDirect(OP_MISUSE_FREE_FOREIGN, 100), FreesOnlyWhatIsThere},
                                         Lie{"InteriorOfALargeBlock", "misuse",
                                             "0 reports of one misuse.*free_interior",
                                             MisuseOfDirect(OP_MISUSE_FREE_INTERIOR, 100000), FreesOnlyWhatIsThere},
                                         Lie{"AnotherKind", "misuse", "reported as \"a lie\".*double_free",
                                             MisuseOfDirect(OP_MISUSE_DOUBLE_FREE, 100),
                                             [] {
                                               lying.set_misuse_handler = NoteHandler;
                                               lying.free = [](void *user) {
                                                 heap_place place;
                                                 honest->locate(user, &place) ? honest->free(user)
                                                                              : Report(HAK_MISUSE_DOUBLE_FREE, user);
                                               };
                                             }}),
                         NameOf);

// ---- Of what a report says ------------------------------------------------------------------------------------------

// Changes each report of the heap in one way.
void (*spoil_report)(hak_misuse *misuse);
void SpoilReports(void (*spoil)(hak_misuse *misuse)) {
  spoil_report = spoil;
  lying.set_misuse_handler = [](hak_misuse_handler wanted) {
    handler = wanted;
    return honest->set_misuse_handler([](const hak_misuse *misuse) {
      hak_misuse spoilt = *misuse;
      spoil_report(&spoilt);
      handler(&spoilt);
    });
  };
}

INSTANTIATE_TEST_SUITE_P(
    Fields, OfMisuse,
    testing::Values(
        Lie{"Function", "misuse", "free is reported as realloc", Misuse(OP_MISUSE_DOUBLE_FREE),
            [] { SpoilReports([](hak_misuse *misuse) { misuse->function = "realloc"; }); }},
        Lie{"Pointer", "misuse", "0x.* is reported as", Misuse(OP_MISUSE_OVERFLOW),
            [] { SpoilReports([](hak_misuse *misuse) { misuse->pointer = misuse; }); }},
        Lie{"Block", "misuse", "a report names block", Misuse(OP_MISUSE_FREE_INTERIOR),
            [] { SpoilReports([](hak_misuse *misuse) { misuse->block = misuse->pointer; }); }},
        Lie{"Offset", "misuse", "a report says offset 0 instead of -1", Misuse(OP_MISUSE_UNDERFLOW),
            [] { SpoilReports([](hak_misuse *misuse) { misuse->offset = 0; }); }},
        Lie{"State", "misuse", "a live block is reported in state 3", Misuse(OP_MISUSE_FREE_MISALIGNED),
            [] { SpoilReports([](hak_misuse *misuse) { misuse->state = HAK_BLOCK_CACHED; }); }},
        Lie{"StateOfAFreeBlock", "misuse", "a free block is reported as live", Misuse(OP_MISUSE_DOUBLE_FREE),
            [] { SpoilReports([](hak_misuse *misuse) { misuse->state = HAK_BLOCK_LIVE; }); }},
        Lie{"FreeBlock", "misuse", "a free block is reported as another one", Misuse(OP_MISUSE_DOUBLE_FREE),
            [] { SpoilReports([](hak_misuse *misuse) { misuse->block = misuse; }); }},
        Lie{"RequestedSize", "misuse", "a block of .* bytes, .* usable, is reported with", Misuse(OP_MISUSE_OVERFLOW),
            [] { SpoilReports([](hak_misuse *misuse) { misuse->requested_size++; }); }},
        Lie{"UsableSize", "misuse", "a block of .* bytes, .* usable, is reported with", Misuse(OP_MISUSE_WRONG_SIZE),
            [] { SpoilReports([](hak_misuse *misuse) { misuse->usable_size++; }); }},
        Lie{"SizeClass", "misuse", "size class .* is reported as", Misuse(OP_MISUSE_OVERFLOW),
            [] { SpoilReports([](hak_misuse *misuse) { misuse->size_class++; }); }},
        Lie{"GivenSize", "misuse", ".* instead of .* was given, and", Misuse(OP_MISUSE_WRONG_SIZE),
            [] { SpoilReports([](hak_misuse *misuse) { misuse->given_size++; }); }},
        Lie{"ExpectedAlignment", "misuse", "32 instead of 0 was given, and 32 instead of 16 is reported",
            Misuse(OP_MISUSE_WRONG_ALIGNMENT),
            [] { SpoilReports([](hak_misuse *misuse) { misuse->expected_size = 16; }); }},
        Lie{"UseAfterFreeAsDoubleFree", "misuse", "reported as", Misuse(OP_MISUSE_DOUBLE_FREE, 6),
            [] { SpoilReports([](hak_misuse *misuse) { misuse->kind = HAK_MISUSE_DOUBLE_FREE; }); }}),
    NameOf);

// Each function is given what is wrong.
INSTANTIATE_TEST_SUITE_P(
    Calls, OfMisuse,
    testing::Values(
        Lie{"FreeSized", "misuse", "0 reports of one misuse", Misuse(OP_MISUSE_DOUBLE_FREE, 1),
            [] { lying.free_sized = [](void *, size_t) {}; }},
        Lie{"FreeAlignedSized", "misuse", "0 reports of one misuse", Misuse(OP_MISUSE_FREE_INTERIOR, 2),
            [] { lying.free_aligned_sized = [](void *, size_t, size_t) {}; }},
        Lie{"Realloc", "misuse", "0 reports of one misuse", Misuse(OP_MISUSE_OVERFLOW, 3),
            [] {
              lying.realloc = [](void *, size_t) -> void * {
                errno = EINVAL;
                return nullptr;
              };
            }},
        Lie{"ReallocToNothing", "misuse", "0 reports of one misuse", Misuse(OP_MISUSE_UNDERFLOW, 4),
            [] { lying.realloc = [](void *, size_t) -> void * { return nullptr; }; }},
        Lie{"Reallocarray", "misuse", "errno is 0 after misuse", Misuse(OP_MISUSE_OVERFLOW, 5),
            [] { lying.reallocarray = [](void *, size_t, size_t) -> void * { return nullptr; }; }},
        Lie{"UsableSize", "misuse", "malloc_usable_size of a bad pointer is", Misuse(OP_MISUSE_OVERFLOW, 6),
            [] { lying.usable_size = [](const void *) { return size_t{100}; }; }},
        Lie{"CheckHeap", "misuse", "0 reports of one misuse", Misuse(OP_MISUSE_OVERFLOW, 7),
            [] { lying.check_heap = [](hak_misuse *) { return 0; }; }},
        // What is in front of a block is found behind the one before it.
        Lie{"CheckHeapAfterAnUnderflow", "misuse", "0 reports of one misuse", Misuse(OP_MISUSE_UNDERFLOW, 7),
            [] { lying.check_heap = [](hak_misuse *) { return 0; }; }},
        // A look at the heap would find the free block that stays damaged.
        Lie{"FreeWhereAnotherBlockIsDamaged", "misuse", "0 reports of one misuse", OverflowBesideDamage(),
            [] {
              lying.free = [](void *user) {
                if (++calls != 2) honest->free(user);
              };
            }},
        Lie{"SizeToFreeAlignedSized", "misuse", "0 reports of one misuse", Misuse(OP_MISUSE_WRONG_SIZE, 1),
            [] { lying.free_aligned_sized = [](void *, size_t, size_t) {}; }},
        Lie{"SizeOfAnAlignedBlock", "misuse", "0 reports of one misuse", MisuseOfAnAlignedBlock(OP_MISUSE_WRONG_SIZE),
            [] { lying.free_aligned_sized = [](void *, size_t, size_t) {}; }},
        Lie{"AlignmentOfAnAlignedBlock", "misuse", "0 reports of one misuse",
            MisuseOfAnAlignedBlock(OP_MISUSE_WRONG_ALIGNMENT),
            [] { lying.free_aligned_sized = [](void *, size_t, size_t) {}; }},
        // A byte of the fill where there are zeroes: the Box cannot tell which is wrong, and no program is to try.
        Lie{"FillBehindAPage", "misuse", "0 reports of one misuse", FillBehindAPage(),
            [] { lying.free = [](void *) {}; }},
        Lie{"Errno", "misuse", "errno is 77 after misuse", Misuse(OP_MISUSE_FREE_FOREIGN),
            [] {
              lying.free = [](void *user) {
                honest->free(user);
                errno = 77;
              };
            }}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Reports, OfMisuse,
    testing::Values(
        Lie{"NoReport", "misuse", "0 reports of one misuse", Misuse(OP_MISUSE_DOUBLE_FREE),
            [] {
              lying.free = [](void *user) {
                if (++calls != 2) honest->free(user);
              };
            }},
        Lie{"TwoReports", "misuse", "2 reports of one misuse", Misuse(OP_MISUSE_FREE_MISALIGNED),
            [] {
              lying.free = [](void *user) {
                honest->free(user);
                if (reinterpret_cast<uintptr_t>(user) % 16 != 0) honest->free(user);
              };
            }},
        Lie{"AnotherKind", "misuse", "reported as \"a lie\"", Misuse(OP_MISUSE_FREE_INTERIOR),
            [] {
              lying.set_misuse_handler = NoteHandler;
              lying.free = [](void *user) {
                heap_place place;
                honest->locate(user, &place) ? honest->free(user) : Report(HAK_MISUSE_OVERFLOW, user);
              };
            }},
        Lie{"AReportOfNothing", "misuse", "reported, where nothing was wrong: free: a lie", MallocAndFree(),
            [] {
              lying.set_misuse_handler = NoteHandler;
              lying.free = [](void *user) {
                honest->free(user);
                Report(HAK_MISUSE_DOUBLE_FREE, user);
              };
            }},
        Lie{"ChangesTheHeap", "unchanged", "a call that was reported changed the heap", Misuse(OP_MISUSE_DOUBLE_FREE),
            [] {
              lying.free = [](void *user) {
                honest->free(user);
                if (++calls == 2) (void)honest->malloc(50);
              };
            }},
        Lie{"ReallocOfABadPointerGivesABlock", "misuse", "realloc of a bad pointer gave a block",
            Misuse(OP_MISUSE_REALLOC),
            [] { lying.realloc = [](void *, size_t size) { return honest->malloc(size); }; }},
        Lie{"ABadPointerHasASize", "misuse", "malloc_usable_size of a bad pointer is 5", Misuse(OP_MISUSE_USABLE_SIZE),
            [] { lying.usable_size = [](const void *) { return size_t{5}; }; }},
        Lie{"AWrongSizeIsTaken", "misuse", "0 reports of one misuse", Misuse(OP_MISUSE_WRONG_SIZE),
            [] { lying.free_sized = [](void *user, size_t) { honest->free_sized(user, 100); }; }},
        Lie{"UnderflowIsTaken", "misuse", "0 reports of one misuse", Misuse(OP_MISUSE_UNDERFLOW),
            [] { lying.free = [](void *) {}; }},
        Lie{"OverflowIsTaken", "misuse", "0 reports of one misuse", Misuse(OP_MISUSE_OVERFLOW),
            [] { lying.free = [](void *) {}; }},
        Lie{"ForeignIsTaken", "misuse", "0 reports of one misuse", Misuse(OP_MISUSE_FREE_FOREIGN),
            [] { lying.free = [](void *) {}; }},
        Lie{"AWrongAlignmentIsTaken", "misuse", "0 reports of one misuse", Misuse(OP_MISUSE_WRONG_ALIGNMENT),
            [] { lying.free_aligned_sized = [](void *, size_t, size_t) {}; }},
        Lie{"NoDamageIsSeen", "misuse", "byte .* of a free block was changed, and the heap is said to be whole",
            Misuse(OP_MISUSE_WRITE_AFTER_FREE), [] { lying.check_heap = [](hak_misuse *) { return 0; }; }},
        Lie{"DamageOfAnotherKind", "misuse", "a write after free is", Misuse(OP_MISUSE_WRITE_AFTER_FREE, 4),
            [] {
              lying.check_heap = [](hak_misuse *misuse) {
                const int found = honest->check_heap(misuse);
                if (found != 0) misuse->kind = HAK_MISUSE_OVERFLOW;
                return found;
              };
            }},
        Lie{"DamageThatWasPutBack", "check_heap", "after the byte was put back", Misuse(OP_MISUSE_WRITE_AFTER_FREE, 4),
            [] {
              lying.check_heap = [](hak_misuse *misuse) {
                misuse->message = "a lie";
                return 1;
              };
            }},
        Lie{"DamageElsewhere", "misuse", "a write after free was found in another place",
            Misuse(OP_MISUSE_WRITE_AFTER_FREE, 4),
            [] {
              lying.check_heap = [](hak_misuse *misuse) {
                const int found = honest->check_heap(misuse);
                misuse->pointer = static_cast<const char *>(misuse->pointer) + 1;
                return found;
              };
            }},
        Lie{"DamageIsNeverReported", "misuse", "a write after free was never reported",
            Misuse(OP_MISUSE_WRITE_AFTER_FREE, 5),
            [] {
              lying.set_misuse_handler = [](hak_misuse_handler) {
                return honest->set_misuse_handler([](const hak_misuse *) {});
              };
            }},
        Lie{"DamageIsReportedAtAnotherByte", "misuse", "reported, where nothing was wrong",
            Misuse(OP_MISUSE_WRITE_AFTER_FREE, 5),
            [] {
              lying.set_misuse_handler = [](hak_misuse_handler wanted) {
                handler = wanted;
                return honest->set_misuse_handler([](const hak_misuse *misuse) {
                  hak_misuse elsewhere = *misuse;
                  elsewhere.pointer = static_cast<const char *>(misuse->pointer) + 1;
                  handler(&elsewhere);
                });
              };
            }}),
    NameOf);

}  // namespace
