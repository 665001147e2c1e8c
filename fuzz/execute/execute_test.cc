// SPDX-License-Identifier: Apache-2.0
//
// Programs on a heap that lies in one way: the executor says so, by the oracle whose matter it is. On heaps that do not, it
// says nothing.

#include <errno.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/execute/lie_for_test.h"

namespace {

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

void ChangesErrno() { errno = 77; }

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

}  // namespace
