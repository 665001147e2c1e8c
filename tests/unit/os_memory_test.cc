// SPDX-License-Identifier: Apache-2.0
//
// The memory contract of os/os.h, as os_memory_linux.c keeps it with the kernel that this runs on.

#include <errno.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "allocator/base/config.h"
#include "allocator/os/os.h"
#include "tests/unit/fresh_process.h"
#include "tests/unit/test_support.h"

namespace {

using hak_test::FillPattern;
using hak_test::FirstNonZero;
using hak_test::FirstWrongByte;
using hak_test::kMiB;
using hak_test::kNone;

const size_t kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));

char *Map(size_t bytes) { return static_cast<char *>(os_memory_map(bytes)); }

// Addresses at which nothing is mapped.
char *FreeAddresses(size_t bytes) {
  char *const address = Map(bytes);
  EXPECT_NE(nullptr, address);
  EXPECT_TRUE(os_memory_release(address, bytes));
  return address;
}

bool IsMapped(const char *address, size_t bytes) {
  std::vector<unsigned char> residence(bytes / kPage);
  return mincore(const_cast<char *>(address), bytes, residence.data()) == 0;
}

size_t ResidentPages(const char *address, size_t bytes) {
  std::vector<unsigned char> residence(bytes / kPage);
  EXPECT_EQ(0, mincore(const_cast<char *>(address), bytes, residence.data()));
  size_t resident = 0;
  for (const unsigned char page : residence) resident += page & 1;
  return resident;
}

TEST(OsMemoryTest, MapIsZeroAndWritable) {
  char *const memory = Map(kMiB);
  ASSERT_NE(nullptr, memory);
  EXPECT_TRUE(hak_test::IsAligned(memory, kPage));
  EXPECT_EQ(kNone, FirstNonZero(memory, kMiB));
  FillPattern(memory, kMiB, 1);
  EXPECT_EQ(kNone, FirstWrongByte(memory, kMiB, 1));
  EXPECT_TRUE(os_memory_release(memory, kMiB));
}

TEST(OsMemoryTest, MapOfMoreThanThereIsFails) {
  EXPECT_EQ(nullptr, os_memory_map(static_cast<size_t>(1) << 60));
  EXPECT_EQ(nullptr, os_memory_map(SIZE_MAX - kPage + 1));
}

// Memory is counted when it is touched: a window or a sparse block may be greater than the machine's memory.
TEST(OsMemoryTest, MapReservesNothing) {
  const size_t bytes = static_cast<size_t>(1) << 36;
  char *const memory = Map(bytes);
  ASSERT_NE(nullptr, memory);
  memory[0] = memory[bytes - 1] = 1;
  EXPECT_TRUE(os_memory_release(memory, bytes));
}

TEST(OsMemoryTest, MapAtFreeAddress) {
  char *const address = FreeAddresses(kMiB);
  ASSERT_EQ(OS_MAPPED, os_memory_map_at(address, kMiB));
  EXPECT_EQ(kNone, FirstNonZero(address, kMiB));
  FillPattern(address, kMiB, 2);
  EXPECT_EQ(kNone, FirstWrongByte(address, kMiB, 2));
  EXPECT_TRUE(os_memory_release(address, kMiB));
}

TEST(OsMemoryTest, MapAtOccupiedAddressChangesNothing) {
  char *const address = FreeAddresses(4 * kMiB);
  char *const foreign = address + 2 * kMiB;
  ASSERT_EQ(OS_MAPPED, os_memory_map_at(foreign, kPage));
  FillPattern(foreign, kPage, 3);
  EXPECT_EQ(OS_OCCUPIED, os_memory_map_at(foreign, kPage));
  EXPECT_EQ(OS_OCCUPIED, os_memory_map_at(foreign, kMiB)) << "the first page is taken";
  EXPECT_EQ(OS_OCCUPIED, os_memory_map_at(address, 2 * kMiB + kPage)) << "the last page is taken";
  EXPECT_EQ(OS_OCCUPIED, os_memory_map_at(address, 4 * kMiB)) << "a page in the middle is taken";
  EXPECT_EQ(kNone, FirstWrongByte(foreign, kPage, 3));
  EXPECT_FALSE(IsMapped(address, kPage)) << "a part of what was refused is mapped";
  EXPECT_FALSE(IsMapped(foreign + kPage, kPage));
  EXPECT_TRUE(os_memory_release(foreign, kPage));
  EXPECT_EQ(OS_MAPPED, os_memory_map_at(address, 4 * kMiB));
  EXPECT_TRUE(os_memory_release(address, 4 * kMiB));
}

// ThreadSanitizer's mmap makes 0 of such an address, where the kernel lets root map, and stops the process then.
#ifndef HAK_TEST_THREAD_SANITIZER
TEST(OsMemoryTest, MapAtWhatIsNoUserAddressFails) {
  EXPECT_EQ(OS_NO_MEMORY, os_memory_map_at(reinterpret_cast<void *>(static_cast<uintptr_t>(1) << 62), kMiB));
}
#endif

TEST(OsMemoryTest, PurgeZeroesAndGivesBack) {
  const size_t bytes = 16 * kPage;
  char *const memory = Map(bytes);
  ASSERT_NE(nullptr, memory);
  FillPattern(memory, bytes, 4);
  ASSERT_EQ(16u, ResidentPages(memory, bytes));
  ASSERT_TRUE(os_memory_purge(memory + 4 * kPage, 8 * kPage));
  EXPECT_EQ(0u, ResidentPages(memory + 4 * kPage, 8 * kPage));
  EXPECT_EQ(kNone, FirstWrongByte(memory, 4 * kPage, 4)) << "before what was purged";
  EXPECT_EQ(kNone, FirstNonZero(memory + 4 * kPage, 8 * kPage));
  char tail[4] = {};
  FillPattern(memory, bytes, 5);
  memcpy(tail, memory + 12 * kPage, sizeof tail);
  ASSERT_TRUE(os_memory_purge(memory, 12 * kPage));
  EXPECT_EQ(0, memcmp(tail, memory + 12 * kPage, sizeof tail)) << "behind what was purged";
  FillPattern(memory, bytes, 6);
  EXPECT_EQ(kNone, FirstWrongByte(memory, bytes, 6));
  EXPECT_TRUE(os_memory_release(memory, bytes));
}

TEST(OsMemoryTest, PurgeOfWhatIsNotMappedFails) {
  char *const address = FreeAddresses(kMiB);
  EXPECT_FALSE(os_memory_purge(address, kMiB));
}

TEST(OsMemoryTest, ReleaseGivesAddressesBack) {
  char *const memory = Map(4 * kMiB);
  ASSERT_NE(nullptr, memory);
  FillPattern(memory, 4 * kMiB, 7);
  ASSERT_TRUE(os_memory_release(memory + kMiB, kMiB)) << "a part may go by itself";
  EXPECT_TRUE(IsMapped(memory, kMiB));
  EXPECT_FALSE(IsMapped(memory + kMiB, kMiB));
  EXPECT_TRUE(IsMapped(memory + 2 * kMiB, 2 * kMiB));
  EXPECT_EQ(kNone, FirstWrongByte(memory, kMiB, 7));
  ASSERT_EQ(OS_MAPPED, os_memory_map_at(memory + kMiB, kMiB));
  EXPECT_EQ(kNone, FirstNonZero(memory + kMiB, kMiB));
  EXPECT_TRUE(os_memory_release(memory, 4 * kMiB));
  EXPECT_FALSE(IsMapped(memory, kMiB));
}

TEST(OsMemoryTest, ReleaseOfANonsensicalRangeFails) {
  EXPECT_FALSE(os_memory_release(reinterpret_cast<void *>(kPage + 1), kPage));
}

// Moves, and holds both sides to the contract: mapped as before, the contents at the new place, nothing else touched.
void MoveAndCheck(char *from, char *to, size_t bytes, uint64_t key) {
  os_memory_move(from, to, bytes);
  ASSERT_TRUE(IsMapped(from, bytes)) << "the source is lost";
  ASSERT_TRUE(IsMapped(to, bytes)) << "the destination is lost";
  EXPECT_EQ(kNone, FirstWrongByte(to, bytes, key));
}

TEST(OsMemoryTest, MoveTakesTheContentsAlong) {
  const size_t most = 3 * HAK_SUPERSLAB_BYTES + kPage;
  for (const size_t bytes :
       {kPage, HAK_SUPERSLAB_BYTES - kPage, HAK_SUPERSLAB_BYTES, HAK_SUPERSLAB_BYTES + kPage, most}) {
    SCOPED_TRACE(std::to_string(bytes) + " bytes");
    char *const from = Map(most + 2 * kPage);
    char *const to = Map(most + 2 * kPage);
    ASSERT_NE(nullptr, from);
    ASSERT_NE(nullptr, to);
    FillPattern(from, most + 2 * kPage, 8);
    FillPattern(to, most + 2 * kPage, 9);
    FillPattern(from + kPage, bytes, 10);
    const std::string before(to, kPage), behind(to + kPage + bytes, kPage);
    ASSERT_NO_FATAL_FAILURE(MoveAndCheck(from + kPage, to + kPage, bytes, 10));
    EXPECT_EQ(before, std::string(to, kPage)) << "what lies before the destination has changed";
    EXPECT_EQ(behind, std::string(to + kPage + bytes, kPage)) << "what lies behind the destination has changed";
    EXPECT_EQ(kNone, FirstWrongByte(from, kPage, 8)) << "what lies before the source has changed";
    // Both are memory like any other from then on.
    FillPattern(from, most + 2 * kPage, 11);
    EXPECT_EQ(kNone, FirstWrongByte(to + kPage, bytes, 10));
    FillPattern(to, most + 2 * kPage, 12);
    EXPECT_EQ(kNone, FirstWrongByte(from, most + 2 * kPage, 11));
    EXPECT_TRUE(os_memory_release(from, most + 2 * kPage));
    EXPECT_TRUE(os_memory_release(to, most + 2 * kPage));
  }
}

// By changing page tables: pages that nobody has touched are not made, neither here nor there.
TEST(OsMemoryTest, MoveCopiesNothing) {
  const size_t bytes = 4 * HAK_SUPERSLAB_BYTES;
  char *const from = Map(bytes);
  char *const to = Map(bytes);
  ASSERT_NE(nullptr, from);
  ASSERT_NE(nullptr, to);
  FillPattern(from + HAK_SUPERSLAB_BYTES, kPage, 13);
  os_memory_move(from, to, bytes);
  const size_t huge_page = HAK_SUPERSLAB_BYTES / kPage;
  EXPECT_LE(ResidentPages(to, bytes), huge_page) << "Linux from 5.7 on moves pages";
  EXPECT_GE(ResidentPages(to, bytes), 1u);
  EXPECT_EQ(0u, ResidentPages(from, bytes));
  EXPECT_EQ(kNone, FirstWrongByte(to + HAK_SUPERSLAB_BYTES, kPage, 13));
  EXPECT_TRUE(os_memory_release(from, bytes));
  EXPECT_TRUE(os_memory_release(to, bytes));
}

// A block may consist of several mappings: one that has been moved before does, and so does one of which the program has
// protected a part. Kernels before 6.17 refuse to move it at once, and have unmapped the destination by then.
TEST(OsMemoryTest, MoveOfSeveralMappings) {
  const size_t bytes = 3 * HAK_SUPERSLAB_BYTES;
  char *const from = Map(bytes);
  char *const to = Map(bytes);
  ASSERT_NE(nullptr, from);
  ASSERT_NE(nullptr, to);
  FillPattern(from, bytes, 14);
  FillPattern(to, bytes, 15);
  ASSERT_EQ(0, mprotect(from + kMiB, kMiB, PROT_READ));
  ASSERT_EQ(0, mprotect(from + HAK_SUPERSLAB_BYTES + kPage, kPage, PROT_READ));
  ASSERT_NO_FATAL_FAILURE(MoveAndCheck(from, to, bytes, 14));
  EXPECT_EQ(0, mprotect(from, bytes, PROT_READ | PROT_WRITE));
  EXPECT_EQ(0, mprotect(to, bytes, PROT_READ | PROT_WRITE));
  FillPattern(to, bytes, 16);
  FillPattern(from, bytes, 17);
  EXPECT_EQ(kNone, FirstWrongByte(to, bytes, 16));
  EXPECT_TRUE(os_memory_release(from, bytes));
  EXPECT_TRUE(os_memory_release(to, bytes));
}

TEST(OsMemoryTest, MovedMemoryMovesAgain) {
  const size_t bytes = 2 * HAK_SUPERSLAB_BYTES;
  char *places[4];
  for (char *&place : places) {
    place = Map(3 * bytes);
    ASSERT_NE(nullptr, place);
  }
  FillPattern(places[0], bytes, 18);
  ASSERT_NO_FATAL_FAILURE(MoveAndCheck(places[0], places[1], bytes, 18));
  FillPattern(places[1], 2 * bytes, 19);  // the moved pages, and as many behind them
  ASSERT_NO_FATAL_FAILURE(MoveAndCheck(places[1], places[2], 2 * bytes, 19));
  FillPattern(places[2], 3 * bytes, 20);
  ASSERT_NO_FATAL_FAILURE(MoveAndCheck(places[2], places[3], 3 * bytes, 20));
  ASSERT_NO_FATAL_FAILURE(MoveAndCheck(places[3], places[0], 3 * bytes, 20));
  for (char *place : places) EXPECT_TRUE(os_memory_release(place, 3 * bytes));
}

// Makes the kernel refuse every mremap of this process from now on, as it does with mappings that it cannot move.
void RefuseMremap() {
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mremap, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EFAULT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {sizeof program / sizeof program[0], program};
  ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  ASSERT_EQ(0, prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) << strerror(errno);
  char *const page = Map(kPage);
  ASSERT_EQ(MAP_FAILED, mremap(page, kPage, 2 * kPage, MREMAP_MAYMOVE));
}

FRESH_TEST(OsMemoryTest, WhatTheKernelDoesNotMoveIsCopied) {
  const size_t bytes = 3 * HAK_SUPERSLAB_BYTES;
  char *const from = Map(bytes);
  char *const to = Map(bytes);
  ASSERT_NE(nullptr, from);
  ASSERT_NE(nullptr, to);
  FillPattern(from, bytes, 21);
  FillPattern(to, bytes, 22);
  ASSERT_NO_FATAL_FAILURE(RefuseMremap());
  ASSERT_NO_FATAL_FAILURE(MoveAndCheck(from, to, bytes, 21));
  FillPattern(from, bytes, 23);
  EXPECT_EQ(kNone, FirstWrongByte(to, bytes, 21));
}

// Before 6.17, the kernel unmaps the destination and refuses then.
FRESH_TEST(OsMemoryTest, RefusedMoveWithItsDestinationLost) {
  const size_t bytes = 3 * HAK_SUPERSLAB_BYTES;
  char *const from = Map(bytes);
  char *const to = Map(bytes);
  ASSERT_NE(nullptr, from);
  ASSERT_NE(nullptr, to);
  FillPattern(from, bytes, 24);
  ASSERT_NO_FATAL_FAILURE(RefuseMremap());
  ASSERT_EQ(0, munmap(to, bytes));
  ASSERT_NO_FATAL_FAILURE(MoveAndCheck(from, to, bytes, 24));
  FillPattern(to, bytes, 25);
  EXPECT_EQ(kNone, FirstWrongByte(from, bytes, 24));
}

std::string FlagsOfMapping(const char *address) {
  std::ifstream smaps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    uintptr_t first, last;
    if (sscanf(line.c_str(), "%lx-%lx", &first, &last) == 2 && line.find('-') < 17) {
      inside = reinterpret_cast<uintptr_t>(address) >= first && reinterpret_cast<uintptr_t>(address) < last;
    } else if (inside && line.rfind("VmFlags:", 0) == 0) {
      return line + " ";
    }
  }
  return "";
}

TEST(OsMemoryTest, AdviseHugeMarksTheMapping) {
  char *const memory = Map(4 * kMiB);
  ASSERT_NE(nullptr, memory);
  FillPattern(memory, kPage, 15);
  os_memory_advise_huge(memory, 4 * kMiB);
  EXPECT_EQ(kNone, FirstWrongByte(memory, kPage, 15));
  // A kernel without transparent huge pages refuses, and that is no failure.
  if (access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK) == 0) {
    EXPECT_NE(std::string::npos, FlagsOfMapping(memory).find(" hg ")) << FlagsOfMapping(memory);
  }
  EXPECT_TRUE(os_memory_release(memory, 4 * kMiB));
}

TEST(OsMemoryTest, EveryCallIsCounted) {
  const size_t before = os_memory_calls();
  char *const memory = Map(2 * kMiB);
  ASSERT_NE(nullptr, memory);
  EXPECT_EQ(before + 1, os_memory_calls());
  EXPECT_TRUE(os_memory_purge(memory, kMiB));
  os_memory_advise_huge(memory, kMiB);
  EXPECT_EQ(before + 3, os_memory_calls());
  os_memory_move(memory, memory + kMiB, kMiB);
  EXPECT_EQ(before + 4, os_memory_calls());
  EXPECT_TRUE(os_memory_release(memory, 2 * kMiB));
  EXPECT_EQ(OS_MAPPED, os_memory_map_at(memory, kMiB));
  EXPECT_TRUE(os_memory_release(memory, kMiB));
  EXPECT_EQ(before + 7, os_memory_calls());
}

// The lower of two limits counts.
FRESH_TEST(OsMemoryTest, LimitOfWritableMemory) {
  struct rlimit limit;
  ASSERT_EQ(0, getrlimit(RLIMIT_DATA, &limit));
  const size_t before = os_address_space_limit();
  limit.rlim_cur = static_cast<rlim_t>(1) << 49;
  ASSERT_EQ(0, setrlimit(RLIMIT_DATA, &limit));
  EXPECT_EQ(std::min(before, static_cast<size_t>(limit.rlim_cur)), os_address_space_limit());
}

FRESH_TEST(OsMemoryTest, AddressSpaceLimit) {
  struct rlimit limit;
  ASSERT_EQ(0, getrlimit(RLIMIT_AS, &limit));
  const rlim_t hard = limit.rlim_max;
  limit.rlim_cur = hard;
  ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));
  EXPECT_EQ(hard == RLIM_INFINITY ? SIZE_MAX : static_cast<size_t>(hard), os_address_space_limit());
  // Above what a sanitizer's shadow takes.
  limit.rlim_cur = static_cast<rlim_t>(1) << 50;
  if (hard != RLIM_INFINITY && hard < limit.rlim_cur) limit.rlim_cur = hard;
  ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));
  EXPECT_EQ(static_cast<size_t>(limit.rlim_cur), os_address_space_limit());
}

uint64_t Milliseconds() {
  struct timespec now;
  EXPECT_EQ(0, clock_gettime(CLOCK_MONOTONIC_COARSE, &now));
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

TEST(OsMemoryTest, ClockIsInMilliseconds) {
  for (int i = 0; i < 30; ++i) {
    const uint64_t before = Milliseconds();
    const uint64_t now = os_clock_milliseconds();
    const uint64_t after = Milliseconds();
    EXPECT_LE(before, now);
    EXPECT_LE(now, after);
    usleep(1000);
  }
}

}  // namespace
