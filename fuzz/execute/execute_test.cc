// SPDX-License-Identifier: Apache-2.0
//
// Programs on a heap that lies in one way: the executor says so, by the oracle whose matter it is. On heaps that do not, it
// says nothing.

#include "fuzz/execute/execute.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>

#include <functional>
#include <string>
#include <vector>

#include "fuzz/execute/input_for_test.h"
#include "fuzz/execute/misuse.h"
#include "fuzz/model/oracle.h"

namespace {

// What lies, and the heap behind it.
heap lying;
const heap *honest;
int calls;

unsigned Selector(size_t size) { return op_selector_of(size); }

// Without quarantine, so that both variants hand out the same blocks.
Input Program(const std::function<void(Input *)> &operations) {
  Input input(OP_HEADER_BYTES);
  operations(&input);
  return input;
}

Input MallocAndFree(size_t size = 100) {
  return Program([=](Input *input) {
    Add(input, OP_MALLOC, 0, 0, Selector(size));
    Add(input, OP_MALLOC, 0, 1, Selector(size));
    Add(input, OP_FREE, 0, 0, 0);
  });
}

Input OneOperation(op_kind kind, unsigned flags, size_t size, int delta = 0) {
  return Program([=](Input *input) {
    Add(input, OP_MALLOC, 0, 0, Selector(100));
    Add(input, kind, flags, 0, Selector(size), delta);
  });
}

// With an alignment that is no power of two.
Input Misaligned() {
  for (int delta = 0; delta < 32; ++delta) {
    Input input = OneOperation(OP_ALIGNED_ALLOC, 0, 100, delta);
    const op operation = op_read(input.data(), 1);
    const size_t alignment = op_resolve(&operation).alignment;
    if ((alignment & (alignment - 1)) != 0) return input;
  }
  abort();
}

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

void Execute(const heap *first, const heap *second, const Input &input) {
  static execution execution;
  execution.misuse = second == nullptr ? misuse_operation : nullptr;
  execution.before = second == nullptr ? misuse_expect_none : nullptr;
  if (second == nullptr) misuse_begin(first);
  execute_input(&execution, first, second, input.data(), input.size());
  if (second == nullptr) misuse_end(&execution);
}

// Where the model would speak first, only the oracle that is meant is on.
void ExecuteWith(const char *oracle, const heap *first, const heap *second, const Input &input) {
  setenv("FUZZ_ORACLES", oracle, 1);
  oracle_initialize();
  Execute(first, second, input);
  exit(0);
}

struct Lie {
  const char *name;
  const char *oracle;
  const char *says;
  Input input;
  void (*tell)();
};

void ChangesErrno() { errno = 77; }

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

void PrintTo(const Lie &lie, std::ostream *stream) { *stream << lie.name; }

class ALie : public testing::TestWithParam<Lie> {
 protected:
  // The one that lies is the second, where there are two.
  static void ExpectFound(const heap *first, const heap *second) {
    const Lie &lie = GetParam();
    Execute(first, second, lie.input);
    EXPECT_EXIT(second == nullptr ? ExecuteWith(lie.oracle, Of(first, lie), nullptr, lie.input)
                                  : ExecuteWith(lie.oracle, first, Of(second, lie), lie.input),
                testing::KilledBySignal(SIGABRT), std::string("oracle ") + lie.oracle + ": " + lie.says);
  }

 private:
  // Made in the child that tells it.
  static const heap *Of(const heap *heap, const Lie &lie) {
    honest = heap;
    lying = *heap;
    calls = 0;
    lie.tell();
    return &lying;
  }
};

std::string NameOf(const testing::TestParamInfo<Lie> &lie) { return lie.param.name; }

// ---- To one heap ----------------------------------------------------------------------------------------------------

class OfOneHeap : public ALie {};

TEST_P(OfOneHeap, IsFound) { ExpectFound(heap_direct_small(), nullptr); }

void *Zeroless(size_t count, size_t size) {
  void *user = honest->calloc(count, size);
  static_cast<char *>(user)[count * size - 1] = 1;
  return user;
}

INSTANTIATE_TEST_SUITE_P(
    Calls, OfOneHeap,
    testing::Values(
        Lie{"FreeChangesErrno", "error", "free changed errno to 77", MallocAndFree(),
            [] {
              lying.free = [](void *user) {
                honest->free(user);
                ChangesErrno();
              };
            }},
        Lie{"FreeSizedChangesErrno", "error", "free_sized changed errno", OneOperation(OP_FREE_SIZED, 0, 100),
            [] {
              lying.free_sized = [](void *user, size_t size) {
                honest->free_sized(user, size);
                ChangesErrno();
              };
            }},
        Lie{"TrimChangesErrno", "error", "trim changed errno", OneOperation(OP_TRIM, 0, 0),
            [] {
              lying.trim = [](size_t keep) {
                const int answer = honest->trim(keep);
                ChangesErrno();
                return answer;
              };
            }},
        Lie{"PosixMemalignChangesErrno", "error", "posix_memalign changed errno",
            OneOperation(OP_POSIX_MEMALIGN, 0, 100, 6),
            [] {
              lying.posix_memalign = [](void **result, size_t alignment, size_t size) {
                const int error = honest->posix_memalign(result, alignment, size);
                ChangesErrno();
                return error;
              };
            }},
        Lie{"PosixMemalignChangesTheResult", "error", "posix_memalign failed and changed the result",
            OneOperation(OP_POSIX_MEMALIGN, 0, 100, 6),
            [] {
              lying.posix_memalign = [](void **result, size_t, size_t) {
                *result = nullptr;
                return ENOMEM;
              };
            }},
        Lie{"TakesABadAlignment", "error", "an alignment that is none gave errno", Misaligned(),
            [] { lying.aligned_alloc = [](size_t, size_t size) { return honest->malloc(size); }; }},
        Lie{"RefusesForNoReason", "error", "", MallocAndFree(),
            [] {
              lying.malloc = [](size_t) -> void * {
                errno = ENOMEM;
                return nullptr;
              };
            }},
        Lie{"ReallocToNothingGivesABlock", "error", "realloc to 0 bytes gave a block", OneOperation(OP_REALLOC, 7, 100),
            [] { lying.realloc = [](void *user, size_t) { return honest->realloc(user, 1); }; }},
        Lie{"ReallocLosesTheBeginning", "content", "", OneOperation(OP_REALLOC, 0, 1000),
            [] {
              lying.realloc = [](void *user, size_t size) {
                char *moved = static_cast<char *>(honest->realloc(user, size));
                *moved = static_cast<char>(*moved + 1);
                return static_cast<void *>(moved);
              };
            }},
        Lie{"FailedReallocWrites", "content", ".*operation 2, realloc", OneOperation(OP_REALLOC, 0, 1000),
            [] {
              lying.realloc = [](void *user, size_t) -> void * {
                *static_cast<char *>(user) = static_cast<char>(*static_cast<char *>(user) + 1);
                errno = ENOMEM;
                return nullptr;
              };
            }},
        Lie{"FreeAlignedSizedChangesErrno", "error", "free_sized changed errno", Program([](Input *input) {
              Add(input, OP_MEMALIGN, 0, 0, Selector(100), 6);
              Add(input, OP_FREE_SIZED, 0, 0, 0);
            }),
            [] {
              lying.free_aligned_sized = [](void *user, size_t alignment, size_t size) {
                honest->free_aligned_sized(user, alignment, size);
                ChangesErrno();
              };
            }},
        Lie{"ReallocToNothingChangesErrno", "error", "realloc to 0 bytes changed errno",
            OneOperation(OP_REALLOC, 7, 100),
            [] {
              lying.realloc = [](void *user, size_t size) {
                void *none = honest->realloc(user, size);
                ChangesErrno();
                return none;
              };
            }},
        Lie{"CallocLeavesAByte", "zero", "", OneOperation(OP_CALLOC, 0, 100), [] { lying.calloc = Zeroless; }},
        Lie{"UsableSizeIsLess", "usable", ".*operation 1, malloc", OneOperation(OP_USABLE_SIZE, 0, 0),
            [] { lying.usable_size = [](const void *user) { return honest->usable_size(user) - 1; }; }},
        Lie{"IsNotAligned", "alignment", "", MallocAndFree(1000),
            [] { lying.malloc = [](size_t size) -> void * { return static_cast<char *>(honest->malloc(size)) + 8; }; }},
        Lie{"HandsOutTwice", "overlap", "", MallocAndFree(),
            [] {
              lying.malloc = [](size_t size) {
                static void *first;
                if (calls++ == 0) first = honest->malloc(size);
                return first;
              };
            }}),
    NameOf);

// ---- To one of two --------------------------------------------------------------------------------------------------

class OfTheSecond : public ALie {};

TEST_P(OfTheSecond, IsFound) { ExpectFound(heap_direct_small(), heap_box_small()); }

INSTANTIATE_TEST_SUITE_P(
    Comparisons, OfTheSecond,
    testing::Values(Lie{"HasNoBlock", "differential", ".* has a block, and .* none", MallocAndFree(),
                        [] {
                          lying.malloc = [](size_t) -> void * {
                            errno = ENOMEM;
                            return nullptr;
                          };
                        }},
                    Lie{"HasAnotherErrno", "differential", "errno 12 here, 11 there",
                        OneOperation(OP_MALLOC, 0, SIZE_MAX / 2),
                        [] {
                          lying.malloc = [](size_t size) {
                            void *user = honest->malloc(size);
                            if (user == nullptr) errno = EAGAIN;
                            return user;
                          };
                        }},
                    Lie{"HasAnotherClass", "differential", "112 bytes are of class .* here, .* there",
                        MallocAndFree(112),
                        [] { lying.malloc = [](size_t size) { return honest->malloc(size * 2); }; }},
                    Lie{"HasAnotherBlock", "trace", "block 1 of its run here, block 2 there", MallocAndFree(),
                        [] {
                          lying.malloc = [](size_t size) {
                            if (calls++ == 1) (void)honest->malloc(size);
                            return honest->malloc(size);
                          };
                        }}),
    NameOf);

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

INSTANTIATE_TEST_SUITE_P(Promises, OfOneHeap,
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
