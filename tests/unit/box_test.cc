// SPDX-License-Identifier: Apache-2.0
//
// Misuse, and how each checks level reports it: double frees, overwritten headers, pointers into blocks and foreign ones,
// blocks written to after they were freed: thread_cache/box, api/malloc_api. Every misuse happens in a forked child, which
// must write exactly one line and abort. What a level does not find is undefined there, and not tested.

#include <setjmp.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <functional>
#include <thread>

#include "tests/unit/child_process.h"
#include "tests/unit/test_support.h"

namespace hak_test {
namespace {

constexpr char kInvalid[] = "not a pointer that hakmem returned";
#if HAK_TEST_EXPECTED_CHECKS > 0
constexpr bool kIsBox = HAK_TEST_EXPECTED_CHECKS == 2;
constexpr char kDoubleFree[] = "the block is free already (double free)";
constexpr char kOverwritten[] = "the byte before the block was overwritten (underflow, or overflow of its neighbour)";
constexpr char kInterior[] = "a pointer into a block, not to its start";
#endif
#if HAK_TEST_EXPECTED_CHECKS == 2
constexpr char kUseAfterFree[] = "a free block was written to (use after free)";
#endif

// The smallest class, some with one slab per run and some with several, and the largest. Sanitizers make children slow.
#if HAK_TEST_SLOWDOWN > 1
constexpr size_t kSizes[] = {1, 5000};
#else
constexpr size_t kSizes[] = {1, 40, 500, 2000, 5000, 32768};
#endif

unsigned char *Allocate(size_t size) {
  unsigned char *const block = static_cast<unsigned char *>(hak_malloc(size));
  if (block == nullptr) ChildFails("no memory");
  memset(block, 0, hak_usable_size(block));
  return block;
}

// The pointer as the compiler does not know it.
template <typename Pointer>
void *Opaque(Pointer *pointer) {
  void *result = const_cast<void *>(static_cast<const volatile void *>(pointer));
  __asm__("" : "+r"(result));
  return result;
}

void *At(uintptr_t address) { return Opaque(reinterpret_cast<char *>(address)); }

// Runs body in a child that leaves no core file and whose standard error is this process's to read.
Outcome RunMisuse(const std::function<void()> &body) {
  Outcome outcome;
  int errors[2];
  if (pipe(errors) != 0) return outcome;
  fflush(stdout);
  fflush(stderr);
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_DUMPABLE, 0);
    dup2(errors[1], STDERR_FILENO);
    close(errors[0]);
    close(errors[1]);
    signal(SIGALRM, SIG_DFL);
    alarm(kChildSeconds);
    body();
    _exit(0);
  }
  close(errors[1]);
  char buffer[1000];
  for (ssize_t n; (n = read(errors[0], buffer, sizeof buffer)) != 0;) {
    if (n > 0) outcome.errors.append(buffer, static_cast<size_t>(n));
    if (n < 0 && errno != EINTR) break;
  }
  close(errors[0]);
  if (child > 0) {
    while (waitpid(child, &outcome.status, 0) < 0 && errno == EINTR) {
    }
  }
  return outcome;
}

std::string Line(const char *function, const void *pointer, const char *kind) {
  char text[200];
  snprintf(text, sizeof text, "hakmem: %s(0x%zx): %s\n", function, reinterpret_cast<uintptr_t>(pointer), kind);
  return text;
}

// The child aborts in body with this one line.
void ExpectReport(const std::string &line, const std::function<void()> &body) {
  const Outcome outcome = RunMisuse(body);
  EXPECT_TRUE(WIFSIGNALED(outcome.status) && WTERMSIG(outcome.status) == SIGABRT) << DescribeStatus(outcome.status);
  EXPECT_EQ(line, outcome.errors);
}

#if HAK_TEST_EXPECTED_CHECKS > 0

// One misuse of many, and its report.
struct Misuse {
  std::string line;
  unsigned char *header;  // of the block; or NULL
  unsigned char value;    // that it has meanwhile
  void *freed;
};

sigjmp_buf after_report;

// The same for many misuses in one child, which catches each abort and goes on: a report changes nothing.
void ExpectReports(const std::vector<Misuse> &all) {
  std::string lines;
  for (const Misuse &misuse : all) lines += misuse.line;
  const Outcome outcome = RunMisuse([&all] {
    signal(SIGABRT, [](int) { siglongjmp(after_report, 1); });
    for (const Misuse &misuse : all) {
      const unsigned char before = misuse.header == nullptr ? 0 : *misuse.header;
      if (misuse.header != nullptr) *misuse.header = misuse.value;
      if (sigsetjmp(after_report, 1) == 0) {
        hak_free(misuse.freed);
        ChildFails("no report, but this was to come: %s", misuse.line.c_str());
      }
      if (misuse.header != nullptr) *misuse.header = before;
    }
  });
  EXPECT_TRUE(WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == 0) << DescribeStatus(outcome.status);
  EXPECT_EQ(lines, outcome.errors);
}

#endif

void ExpectFreeReports(const char *kind, void *pointer) {
  ExpectReport(Line("free", pointer, kind), [pointer] { hak_free(pointer); });
}

// What body does is no misuse.
void ExpectQuiet(const std::function<void()> &body) {
  const Outcome outcome = RunMisuse(body);
  EXPECT_TRUE(WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == 0) << DescribeStatus(outcome.status);
  EXPECT_EQ("", outcome.errors);
}

std::string OfSize(size_t size) { return std::to_string(size) + " bytes"; }

int global_with_a_value = 1;

TEST(BoxTest, TheLevelIsTheOneThatIsTested) { EXPECT_EQ(HAK_TEST_EXPECTED_CHECKS, ChecksLevel()); }

// ---- Pointers that are none of hakmem's, at every level -------------------------------------------------------------

std::vector<void *> ForeignPointers() {
  static void *const mapped = mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  static int global_with_zero;
  static void *const of_libc = malloc(100);
  int on_the_stack = 0;
  std::vector<void *> pointers = {Opaque(&on_the_stack),
                                  Opaque(&global_with_a_value),
                                  Opaque(&global_with_zero),
                                  Opaque(of_libc),
                                  Opaque(kInvalid),
                                  Opaque(static_cast<char *>(mapped)),
                                  Opaque(static_cast<char *>(mapped) + 16),
                                  Opaque(static_cast<char *>(mapped) + 65536),
                                  reinterpret_cast<void *>(&ForeignPointers)};
  // Near NULL, where the header would be before the address space; at its end; and where no address can be.
  for (const uintptr_t address : {1, 8, 15, 16, 17, 4095, 4096, 65535, 65536}) pointers.push_back(At(address));
  for (const uintptr_t address : {1, 15, 16, 4096}) pointers.push_back(At(0 - address));
  for (const unsigned bit : {47, 48, 56, 62, 63}) pointers.push_back(At(uintptr_t{1} << bit));
  return pointers;
}

TEST(BoxTest, ForeignPointers) {
  for (void *const pointer : ForeignPointers()) {
    ExpectReport(Line("free", pointer, kInvalid), [pointer] { hak_free(pointer); });
    if (HasFailure()) return;
  }
}

TEST(BoxTest, ForeignPointersInAThreadThatHasNotAllocated) {
  void *const pointer = At(16);
  ExpectReport(Line("free", pointer, kInvalid), [pointer] { std::thread([pointer] { hak_free(pointer); }).join(); });
}

// Every function names itself, but for those that are free under other names.
TEST(BoxTest, ForeignPointersInOtherFunctions) {
  for (void *const pointer : {At(16), Opaque(&global_with_a_value)}) {
    ExpectReport(Line("realloc", pointer, kInvalid), [pointer] { (void)!hak_realloc(pointer, 100); });
    ExpectReport(Line("realloc", pointer, kInvalid), [pointer] { (void)!hak_realloc(pointer, 1000000); });
    ExpectReport(Line("realloc", pointer, kInvalid), [pointer] { (void)!hak_reallocarray(pointer, 10, 10); });
    ExpectReport(Line("malloc_usable_size", pointer, kInvalid), [pointer] { (void)!hak_usable_size(pointer); });
    ExpectReport(Line("free", pointer, kInvalid), [pointer] { (void)!hak_realloc(pointer, 0); });
    ExpectReport(Line("free", pointer, kInvalid), [pointer] { hak_free_sized(pointer, 4); });
    ExpectReport(Line("free", pointer, kInvalid), [pointer] { hak_free_aligned_sized(pointer, 64, 64); });
  }
}

// Addresses beside those that hakmem uses: they may lie in its window, where nothing is mapped.
TEST(BoxTest, PointersFarFromAnyBlock) {
  unsigned char *const block = Allocate(3 * kMiB);
  for (const uintptr_t distance : {size_t{256} << 20, size_t{1} << 30, size_t{64} << 30, size_t{1} << 40}) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(block);
    ExpectFreeReports(kInvalid, At(address + distance));
    ExpectFreeReports(kInvalid, At(address - distance));
  }
  hak_free(block);
}

TEST(BoxTest, NullIsNoMisuse) {
  ExpectQuiet([] {
    hak_free(nullptr);
    hak_free_sized(nullptr, 10);
    hak_free_aligned_sized(nullptr, 64, 10);
    if (hak_usable_size(nullptr) != 0) ChildFails("NULL has usable bytes");
    hak_free(hak_realloc(nullptr, 10));
    std::thread([] { hak_free(nullptr); }).join();
  });
}

// ---- Large blocks, at every level -----------------------------------------------------------------------------------

TEST(BoxTest, PointersIntoLargeBlocks) {
  for (const size_t size : {size_t{40000}, size_t{300000}, 3 * kMiB, 9 * kMiB}) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size);
    for (const size_t offset : {size_t{1}, size_t{8}, size_t{16}, size_t{4096}, size / 2, size - 1}) {
      ExpectFreeReports(kInvalid, Opaque(block + offset));
    }
    ExpectReport(Line("realloc", block + 16, kInvalid), [&] { (void)!hak_realloc(Opaque(block + 16), size); });
    ExpectReport(Line("malloc_usable_size", block + 4096, kInvalid), [&] { hak_usable_size(Opaque(block + 4096)); });
    ExpectQuiet([block] { hak_free(block); });
    hak_free(block);
  }
}

TEST(BoxTest, LargeBlocksFreedTwice) {
  for (const size_t size : {size_t{40000}, size_t{300000}, 3 * kMiB, 9 * kMiB}) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size);
    ExpectReport(Line("free", block, kInvalid), [block] {
      hak_free(block);
      hak_free(Opaque(block));
    });
    ExpectReport(Line("realloc", block, kInvalid), [block] {
      hak_free(block);
      (void)!hak_realloc(Opaque(block), 50000);
    });
    ExpectReport(Line("free", block, kInvalid), [block] {
      hak_free(block);
      hak_trim(0);
      std::thread([block] { hak_free(Opaque(block)); }).join();
    });
    hak_free(block);
  }
}

// Small blocks whose slab is not in use any more.
TEST(BoxTest, BlocksWhoseSlabIsGone) {
  for (const size_t size : kSizes) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size);
    ExpectReport(Line("free", block, kInvalid), [block] {
      hak_free(block);
      hak_trim(0);
      hak_free(Opaque(block));
    });
    hak_free(block);
  }
}

#if HAK_TEST_EXPECTED_CHECKS > 0

// ---- Freed twice ----------------------------------------------------------------------------------------------------

TEST(BoxTest, FreedTwiceAtOnce) {
  for (const size_t size : kSizes) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size);
    ExpectReport(Line("free", block, kDoubleFree), [block] {
      hak_free(block);
      hak_free(Opaque(block));
    });
    ExpectReport(Line("free", block, kDoubleFree), [block] {
      hak_free(block);
      hak_free_sized(Opaque(block), 1);
    });
    ExpectReport(Line("free", block, kDoubleFree), [block] {
      hak_free(block);
      (void)!hak_realloc(Opaque(block), 0);
    });
    hak_free(block);
  }
}

TEST(BoxTest, AlignedBlocksFreedTwice) {
  for (const size_t alignment : {64, 1024}) {
    unsigned char *const block = static_cast<unsigned char *>(hak_aligned_alloc(alignment, alignment - 1));
    ASSERT_NE(nullptr, block);
    ExpectReport(Line("free", block, kDoubleFree), [block] {
      hak_free(block);
      hak_free(Opaque(block));
    });
    hak_free(block);
  }
}

// The first time so long ago that the block is in the list, in the spare chain, in the pool, or in its slab.
TEST(BoxTest, FreedTwiceAfterOtherFrees) {
  for (const size_t size : {size_t{40}, size_t{5000}}) {
    for (const size_t others : {1, 3, 130, 300, 6000}) {
      if (size * others > kMiB * 4) continue;
      SCOPED_TRACE(OfSize(size) + ", then " + std::to_string(others) + " others");
      std::vector<unsigned char *> blocks;
      for (size_t i = 0; i < others + 2; ++i) blocks.push_back(Allocate(size));
      unsigned char *const block = blocks[others / 2];
      ExpectReport(Line("free", block, kDoubleFree), [&] {
        hak_free(block);
        for (size_t i = 0; i < others; ++i) {
          if (blocks[i] != block) hak_free(blocks[i]);
        }
        hak_free(Opaque(block));
      });
      ExpectReport(Line("free", block, kDoubleFree), [&] {
        // Its neighbours stay, so its slab does.
        hak_free(block);
        hak_trim(0);
        hak_free(Opaque(block));
      });
      for (unsigned char *each : blocks) hak_free(each);
    }
  }
}

TEST(BoxTest, FreedTwiceByTwoThreads) {
  for (const size_t size : kSizes) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size), *const neighbour = Allocate(size);
    ExpectReport(Line("free", block, kDoubleFree), [block] {
      hak_free(block);
      std::thread([block] { hak_free(Opaque(block)); }).join();
    });
    ExpectReport(Line("free", block, kDoubleFree), [block] {
      // This thread ends before, and what it had is in the pool.
      std::thread([block] { hak_free(block); }).join();
      hak_free(Opaque(block));
    });
    ExpectReport(Line("free", block, kDoubleFree), [block] {
      std::thread([block] {
        hak_free(block);
        std::thread([block] { hak_free(Opaque(block)); }).join();
      }).join();
    });
    hak_free(block);
    hak_free(neighbour);
  }
}

TEST(BoxTest, FreedAfterReallocMovedIt) {
  unsigned char *const block = Allocate(100);
  ExpectReport(Line("free", block, kDoubleFree), [block] {
    void *const moved = hak_realloc(block, 1000);
    if (moved == block) ChildFails("it did not move");
    hak_free(Opaque(block));
  });
  ExpectReport(Line("free", block, kDoubleFree), [block] {
    hak_free(block);
    (void)!hak_realloc(Opaque(block), 1000);  // frees the block after it has moved it
  });
  hak_free(block);
}

// ---- The header -----------------------------------------------------------------------------------------------------

// Every value but the right one is found, and one of them says that the block is free.
TEST(BoxTest, EveryWrongHeader) {
  for (const size_t size : kSizes) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size), *const other = Allocate(size);
    const unsigned live = block[-1];
    ASSERT_EQ(live, other[-1]);
    hak_free(other);
    const unsigned freed = *(static_cast<unsigned char *>(Opaque(other)) - 1);
    ASSERT_NE(live, freed);
    std::vector<Misuse> all;
    for (unsigned value = 0; value < 256; ++value) {
      if (value == live) continue;
      const std::string line = Line("free", block, value == freed ? kDoubleFree : kOverwritten);
      all.push_back({line, block - 1, static_cast<unsigned char>(value), block});
    }
    ASSERT_EQ(255u, all.size());
    ExpectReports(all);
    // And the process does end.
    for (const unsigned value : {0u, live ^ 1, live | 0x40}) {
      ExpectReport(Line("free", block, value == freed ? kDoubleFree : kOverwritten), [block, value] {
        block[-1] = static_cast<unsigned char>(value);
        hak_free(block);
      });
    }
    ExpectQuiet([block] { hak_free(block); });
    hak_free(block);
  }
}

// Two blocks of which one begins where the other ends. The others are freed.
std::pair<unsigned char *, unsigned char *> Neighbours(size_t size) {
  std::vector<unsigned char *> blocks;
  std::pair<unsigned char *, unsigned char *> found = {nullptr, nullptr};
  while (found.first == nullptr && blocks.size() < 1000) {
    blocks.push_back(Allocate(size));
    for (size_t i = 0; i + 1 < blocks.size() && found.first == nullptr; ++i) {
      if (blocks[i] + hak_usable_size(blocks[i]) + 1 == blocks.back()) found = {blocks[i], blocks.back()};
    }
  }
  for (unsigned char *block : blocks) {
    if (block != found.first && block != found.second) hak_free(block);
  }
  return found;
}

TEST(BoxTest, AByteTooMany) {
  for (const size_t size : kSizes) {
    SCOPED_TRACE(OfSize(size));
    const auto blocks = Neighbours(size);
    ASSERT_NE(nullptr, blocks.first);
    const size_t usable = hak_usable_size(blocks.first);
    for (const bool first_first : {false, true}) {
      ExpectReport(Line("free", blocks.second, kOverwritten), [&] {
        static_cast<unsigned char *>(Opaque(blocks.first))[usable] = 'x';
        if (first_first) hak_free(blocks.first);
        hak_free(blocks.second);
      });
    }
    // And not one too few.
    ExpectQuiet([&] {
      memset(blocks.first, 'x', usable);
      hak_free(blocks.second);
      hak_free(blocks.first);
    });
    hak_free(blocks.first);
    hak_free(blocks.second);
  }
}

// ---- Pointers into small blocks -------------------------------------------------------------------------------------

// The Box knows where blocks begin. The checked level takes the byte before the pointer for a header, here a zero.
TEST(BoxTest, PointersIntoBlocks) {
  for (const size_t size : kSizes) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size);
    const size_t usable = hak_usable_size(block);
    std::vector<size_t> offsets;
    for (size_t offset = 2; offset < 16; ++offset) offsets.push_back(offset);
    for (size_t offset = 16; offset < usable; offset = offset * 5 / 4 / 16 * 16 + 16) offsets.push_back(offset);
    std::vector<Misuse> all;
    for (const size_t offset : offsets) {
      all.push_back({Line("free", block + offset, kIsBox ? kInterior : kOverwritten), nullptr, 0, block + offset});
    }
    ExpectReports(all);
    ExpectFreeReports(kIsBox ? kInterior : kOverwritten, Opaque(block + offsets.back()));
    // The byte before the pointer looks like the header of a live block, or of a free one.
    if (kIsBox) {
      for (const size_t offset : {size_t{2}, usable / 32 * 16, usable - 1}) {
        if (offset == 0) continue;
        for (const unsigned char bits : {0, 0x40}) {
          block[offset - 1] = block[-1] | bits;
          ExpectFreeReports(kInterior, Opaque(block + offset));
          block[offset - 1] = 0;
        }
      }
    }
    hak_free(block);
  }
}

// One byte off: the byte before the pointer is the block's first. It is a zero, or a header.
TEST(BoxTest, PointersOneOff) {
  for (const size_t size : kSizes) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size);
    ExpectFreeReports(kIsBox ? kInterior : kOverwritten, Opaque(block + 1));
    block[0] = block[-1] | 0x40;
    ExpectFreeReports(kIsBox ? kInterior : kDoubleFree, Opaque(block + 1));
    hak_free(block);
  }
}

#endif  // HAK_TEST_EXPECTED_CHECKS > 0

#if HAK_TEST_EXPECTED_CHECKS == 2

// ---- The Box alone --------------------------------------------------------------------------------------------------

// In a slab, but where no block begins: before the first block, behind the last, and where none was carved yet.
TEST(BoxTest, PointersBetweenBlocks) {
  // Of this class, 31 blocks and 1552 bytes that are in none; and of this one no block but the first is carved.
  unsigned char *const block = Allocate(2060), *const first = Allocate(24000);
  const uintptr_t slab = reinterpret_cast<uintptr_t>(block) & ~uintptr_t{65535};
  for (const uintptr_t address : {slab, slab + 1, slab + 65536 - 16, slab + 65535}) {
    ExpectFreeReports(kInterior, At(address));
  }
  const size_t stride = hak_usable_size(first) + 1;
  ExpectFreeReports(kInterior, Opaque(first + stride));
  ExpectFreeReports(kInterior, Opaque(first + 2 * stride));
  hak_free(block);
  hak_free(first);
}

TEST(BoxTest, ReallocOfAPointerIntoABlock) {
  unsigned char *const block = Allocate(100);
  ExpectReport(Line("free", block + 16, kInterior), [block] { (void)!hak_realloc(Opaque(block + 16), 5000); });
  hak_free(block);
}

// The link of a free block leads somewhere else: the malloc that would have taken the block finds it.
TEST(BoxTest, WrittenToAfterFree) {
  for (const size_t size : {size_t{1}, size_t{500}, size_t{32768}}) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const first = Allocate(size), *const second = Allocate(size), *const third = Allocate(size);
    unsigned char *const large = Allocate(100000), *const of_another_class = Allocate(size / 2 + 700);
    const std::vector<void *> links = {
        At(0x4141414141414141), At(1),         At(~uintptr_t{0}),       Opaque(&global_with_a_value), Opaque(first + 1),
        Opaque(second - 1),     Opaque(large), Opaque(of_another_class)};
    for (void *const link : links) {
      const auto overwrite = [link](unsigned char *block) { memcpy(Opaque(block), &link, sizeof link); };
      // The next malloc.
      ExpectReport(Line("malloc", first, kUseAfterFree), [&] {
        hak_free(first);
        overwrite(first);
        (void)!hak_malloc(size);
      });
      // A later one: two blocks were freed after it.
      ExpectReport(Line("malloc", first, kUseAfterFree), [&] {
        hak_free(first);
        hak_free(second);
        hak_free(third);
        overwrite(first);
        if (hak_malloc(size) != third) ChildFails("not the block that was freed last");
        if (hak_malloc(size) != second) ChildFails("not the block that was freed before");
        (void)!hak_calloc(1, size);
      });
      ASSERT_FALSE(HasFailure()) << "link " << link;
    }
    for (unsigned char *block : {first, second, third, large, of_another_class}) hak_free(block);
  }
}

TEST(BoxTest, OneByteOfTheLinkWrittenAfterFree) {
  unsigned char *const first = Allocate(200), *const second = Allocate(200);
  for (int byte = 0; byte < 8; ++byte) {
    ExpectReport(Line("malloc", second, kUseAfterFree), [=] {
      hak_free(first);
      hak_free(second);
      static_cast<unsigned char *>(Opaque(second))[byte] ^= 0x81;
      (void)!hak_malloc(200);
    });
  }
  hak_free(first);
  hak_free(second);
}

// The link is whole, but the header of the free block is not.
TEST(BoxTest, HeaderOfAFreeBlockOverwritten) {
  unsigned char *const block = Allocate(200);
  const unsigned live = block[-1];
  for (const unsigned value : {0u, 0xFFu, unsigned{'x'}, live, live | 0x20u}) {
    ExpectReport(Line("malloc", block, kUseAfterFree), [=] {
      hak_free(block);
      static_cast<unsigned char *>(Opaque(block - 1))[0] = static_cast<unsigned char>(value);
      (void)!hak_malloc(200);
    });
  }
  hak_free(block);
}

// The rest of a free block may have been written to unnoticed.
TEST(BoxTest, BehindTheLinkNothingIsChecked) {
  unsigned char *const block = Allocate(200);
  ExpectQuiet([block] {
    hak_free(block);
    memset(static_cast<unsigned char *>(Opaque(block)) + 8, 0x41, hak_usable_size(block) - 8);
    if (hak_malloc(200) != block) ChildFails("not the block that was freed last");
  });
  hak_free(block);
}

#endif  // HAK_TEST_EXPECTED_CHECKS == 2

#if HAK_TEST_EXPECTED_CHECKS == 0

// The direct level does not read headers: a free makes a wrong one right.
TEST(BoxTest, DirectDoesNotReadHeaders) {
  unsigned char *const block = Allocate(200);
  const unsigned char right = block[-1];
  for (unsigned value = 0; value < 256; ++value) {
    block[-1] = static_cast<unsigned char>(value);
    hak_free(block);
    ASSERT_EQ(block, hak_malloc(200));
    ASSERT_EQ(right, block[-1]);
  }
  hak_free(block);
}

#endif

}  // namespace
}  // namespace hak_test
