// SPDX-License-Identifier: Apache-2.0
//
// What is printed for a fixed program. That printed C programs compile and run is tested by printed_..._test.

#include "fuzz/op/op_print.h"

#include <cstdlib>
#include <string>

#include "fuzz/op/test_support.h"
#include "gtest/gtest.h"

namespace {

std::string Print(void (*print)(enum op_target, const uint8_t *, size_t, FILE *), const Bytes &input,
                  enum op_target target = OP_TARGET_NONE) {
  char *text = nullptr;
  size_t size = 0;
  FILE *output = open_memstream(&text, &size);
  print(target, input.data(), input.size(), output);
  fclose(output);
  std::string result(text, size);
  free(text);
  return result;
}

Bytes Program() {
  Bytes input = MakeInput({
      MakeOp(OP_MALLOC, 0, 3, 8, 1),
      MakeOp(OP_CALLOC, 4, 4, 8, 0),
      MakeOp(OP_REPEAT, 1, 1, 20, 0),
      MakeOp(OP_CALLOC, 6, 4, 8, 0),
      MakeOp(OP_REALLOC, 0, 4, op_selector_of(SIZE_MAX), -2),
      MakeOp(OP_REALLOCARRAY, 1, 4, 8, 0),
      MakeOp(OP_POSIX_MEMALIGN, 0, 200, op_selector_of(65536), 0x20 | 21),
      MakeOp(OP_MEMALIGN, 0, 200, 0, 25),
      MakeOp(OP_PAGE_ALLOC, 1, 201, op_selector_of(PTRDIFF_MAX), 3),
      MakeOp(OP_PAGE_ALLOC, 0, 202, 2, 0),
      MakeOp(OP_FREE, 0, 3, 0, 0),
      MakeOp(OP_FREE_SIZED, 0, 4, 0, 0),
      MakeOp(OP_FREE_RANGE, 1, 254, 4, 0),
      MakeOp(OP_FREE_RANGE, 0, 0, 0, 0),
      MakeOp(OP_USABLE_SIZE, 0, 5, 0, 0),
      MakeOp(OP_WRITE, 0, 5, 0, 0),
      MakeOp(OP_VERIFY, 0, 0, 0, 0),
      MakeOp(OP_TRIM, 0, 0, 8, 0),
      MakeOp(OP_STATISTICS, 0, 0, 0, 0),
      MakeOp(OP_CHECK_HEAP, 0, 0, 0, 0),
      MakeOp(OP_CLOCK, 0, 0, 25, 0),
      MakeOp(OP_FAULT, 3, 0, 9, 0),
      MakeOp(OP_FAULT, 4, 15, 0, 0),
      MakeOp(OP_FAULT, 0, 0, 0, 0),
      MakeOp(OP_PURGE_MODE, 2, 0, 0, 0),
      MakeOp(OP_THREAD_SWITCH, 5, 0, 0, 0),
      MakeOp(OP_THREAD_EXIT, 1, 0, 0, 0),
      MakeOp(OP_MISUSE, 0, 6, OP_MISUSE_OVERFLOW, -3),
  });
  input[0] = 1;
  input[4] = 9;
  return input;
}

const char kList[] =
    R"(chain_kib 1, pool_chains 16, purge_delay_ms 100, box_quarantine_blocks 0, thp 0, box_scan 0
limit 2 superslabs, occupied 0, schedule 0 with 0 points
0 slot 3 = malloc(144)
1 slot 4 = calloc(16, 8)   # 128 bytes
2 repeat the 2 operations before this 20 times, slots 2 further on each time
3 slot 4 = calloc(4294967296, 4294967296)   # overflows
4 slot 4 = realloc(slot 4, SIZE_MAX - 2)
5 slot 4 = reallocarray(slot 4, 143, 1)   # 143 bytes
6 slot 200 = posix_memalign(2097152, 65537)
7 slot 200 = memalign(0, 15)
8 slot 201 = pvalloc(PTRDIFF_MAX + 3)
9 slot 202 = valloc(47)
10 free(slot 3)
11 free_sized(slot 4)
12 free 4 slots: slot 1 to slot 254
13 free 0 slots
14 usable_size(slot 5)
15 write(slot 5)
16 verify
17 trim(0)
18 statistics
19 check_heap
20 100 ms pass
21 fault map map_at: after 1 calls 1 fail
22 fault purge: after 0 calls all fail
23 fault none
24 purge mode 2
25 thread 1 goes on
26 thread 1 ends
27 misuse overflow of slot 6, -3
)";

const char kBody[] = R"(int main(void) {
  const size_t live_before = live_bytes();
  slot_malloc(3, 144);
  slot_calloc(4, 16, 8);
  for (unsigned i = 1; i <= 20; i++) {
    slot_malloc((3 + 2 * i) % SLOTS, 144);
    slot_calloc((4 + 2 * i) % SLOTS, 16, 8);
  }
  slot_calloc(4, 0x100000000, 0x100000000);
  slot_realloc(4, 0xfffffffffffffffd);
  slot_reallocarray(4, 143, 1);
  slot_posix_memalign(200, 2097152, 65537);
  slot_memalign(200, 0, 15);
  slot_pvalloc(201, 0x8000000000000002);
  slot_valloc(202, 47);
  slot_free(3);
  slot_free_sized(4);
  for (unsigned k = 4; k-- > 0;) slot_free((254 + k) % SLOTS);
  slot_usable_size(5);
  fill(5);
  check_all();
  malloc_trim(0);
  // statistics
  check_heap();
  // 100 ms pass
  // fault map map_at: after 1 calls 1 fail
  // fault purge: after 0 calls all fail
  // fault none
  // purge mode 2
  // thread 1 goes on
  // thread 1 ends
  // misuse overflow of slot 6, -3

  for (unsigned i = 0; i < SLOTS; i++) slot_free(i);
  ensure(live_bytes() == live_before);
  return 0;
}
)";

TEST(Print, List) { EXPECT_EQ(Print(op_print_list, Program()), kList); }

std::string MainOf(const std::string &program) { return program.substr(program.find("int main(void)")); }

// The comment that a program begins with.
std::string HeadOf(const std::string &program) { return program.substr(0, program.find("\n\n") + 1); }

TEST(Print, CProgram) { EXPECT_EQ(MainOf(Print(op_print_c, Program())), kBody); }

// ---- By target --------------------------------------------------------------------------------------------------------

// 100 allocations and a misuse.
Bytes Repeated() {
  return MakeInput({MakeOp(OP_MISUSE, 0, 50, OP_MISUSE_DOUBLE_FREE, 0), MakeOp(OP_MALLOC, 0, 33, 0, 1),
                    MakeOp(OP_REPEAT, 0, 0, 99, 0)});
}

TEST(Print, LargeIsWhatTheTargetExecutes) {
  std::string list = Print(op_print_list, Repeated(), OP_TARGET_LARGE);
  EXPECT_NE(list.find("\n0 misuse double_free of slot 50, 0   # left out\n1 slot 33 = malloc(24592)\n"),
            std::string::npos)
      << list;
  EXPECT_NE(list.find("\nat most 96 are executed\n"), std::string::npos);
  std::string executed = Print(op_print_executed, Repeated(), OP_TARGET_LARGE);
  EXPECT_NE(executed.find("\n95 (1.94) slot 127 = malloc(24592)\n"), std::string::npos) << executed;
  EXPECT_EQ(executed.find("\n96 "), std::string::npos);
  std::string program = Print(op_print_c, Repeated(), OP_TARGET_LARGE);
  EXPECT_NE(program.find("\n  slot_malloc(127, 24592);\n\n"), std::string::npos) << MainOf(program);
  EXPECT_EQ(program.find("-DHAK_SMALL_GEOMETRY"), std::string::npos);
}

TEST(Print, ThreadsAreNarrow) {
  Bytes input = Repeated();
  EXPECT_NE(Print(op_print_list, input, OP_TARGET_THREADS).find("\n1 slot 33 = "), std::string::npos);
  input[6] = 1;
  std::string list = Print(op_print_list, input, OP_TARGET_THREADS);
  EXPECT_NE(list.find("\n0 two threads free slot 18 at once\n1 slot 1 = malloc("), std::string::npos) << list;
  std::string program = Print(op_print_c, input, OP_TARGET_THREADS);
  EXPECT_EQ(program.find("for (unsigned i = 1"), std::string::npos) << "slots are not one further on each time";
  EXPECT_NE(HeadOf(program).find("FUZZ_PRINT=1"), std::string::npos);
}

TEST(Print, OptionsBeginWithAText) {
  Bytes input = {'t', 'h', 'p', '=', '1', ',', '\'', '\\', '\n', 0xff, 0};
  Bytes program = Repeated();
  program[0] = 1;
  input.insert(input.end(), program.begin(), program.end());
  std::string line = R"(HAKMEM_OPTIONS=$'thp=1,\'\\\x0a\xff')";
  std::string list = Print(op_print_list, input, OP_TARGET_OPTIONS);
  EXPECT_EQ(list.find(line + "\nlimit 0 superslabs"), 0u) << list;
  EXPECT_NE(list.find("\n1 slot 33 = malloc("), std::string::npos) << list;
  std::string text = Print(op_print_c, input, OP_TARGET_OPTIONS);
  EXPECT_NE(HeadOf(text).find("//     " + line + " ./a.out\n"), std::string::npos) << HeadOf(text);
  EXPECT_NE(text.find("  // misuse double_free of slot 50, 0   # left out\n  slot_malloc(33, "), std::string::npos);
  EXPECT_EQ(text.find("misuse_free"), std::string::npos);
}

TEST(Print, SizeClassIsRequests) {
  Bytes input = {44, 1, 0, 2, 8, 0, 130, 0};
  EXPECT_EQ(Print(op_print_list, input, OP_TARGET_SIZE_CLASS),
            "small slabs\n0 3 times malloc(300)\n1 1 times aligned_alloc(16, 8)\n");
  std::string program = Print(op_print_c, input, OP_TARGET_SIZE_CLASS);
  EXPECT_NE(program.find("  slot_malloc(0, 300);\n  slot_malloc(1, 300);\n  slot_malloc(2, 300);\n"
                         "  slot_aligned_alloc(3, 16, 8);\n"),
            std::string::npos)
      << MainOf(program);
  EXPECT_NE(HeadOf(program).find("-DHAK_SMALL_GEOMETRY"), std::string::npos);
  input.push_back(0);
  EXPECT_EQ(Print(op_print_list, input, OP_TARGET_SIZE_CLASS).find("production's slabs\n"), 0u);
  EXPECT_EQ(HeadOf(Print(op_print_c, input, OP_TARGET_SIZE_CLASS)).find("-DHAK_SMALL_GEOMETRY"), std::string::npos);
}

// ---- What is replayed, and what is not --------------------------------------------------------------------------------

TEST(Print, MisuseAsCalls) {
  Bytes input = MakeInput({
      MakeOp(OP_MISUSE, 0, 1, OP_MISUSE_DOUBLE_FREE, 3),
      MakeOp(OP_MISUSE, 0, 2, OP_MISUSE_FREE_MISALIGNED, -3),
      MakeOp(OP_MISUSE, OP_CALL_REALLOC_TO_NOTHING, 3, OP_MISUSE_FREE_INTERIOR, 4),
      MakeOp(OP_MISUSE, OP_CALL_CHECK_HEAP, 4, OP_MISUSE_FREE_FOREIGN, -1),
      MakeOp(OP_MISUSE, 0, 5, OP_MISUSE_REALLOC, 5),
      MakeOp(OP_MISUSE, 0, 6, OP_MISUSE_USABLE_SIZE, 7),
      MakeOp(OP_REPEAT, 1, 0, 2, 0),
  });
  std::string program = Print(op_print_c, input, OP_TARGET_MISUSE);
  EXPECT_NE(program.find("  misuse_free(freed(1));\n"
                         "  misuse_free(misaligned(2, -3));\n"
                         "  misuse_realloc_to_nothing(interior(3, 4));\n"
                         "  misuse_free(foreign(255));\n"
                         "  misuse_realloc(freed(5));\n"
                         "  misuse_usable_size(interior(6, 7));\n"
                         "  for (unsigned i = 1; i <= 2; i++) {\n"
                         "    misuse_usable_size(interior((6 + 2 * i) % SLOTS, 7));\n"),
            std::string::npos)
      << MainOf(program);
  EXPECT_EQ(HeadOf(program).find("does not replay"), std::string::npos) << HeadOf(program);
  EXPECT_NE(program.find("MISUSE(free, free(pointer))"), std::string::npos);
  EXPECT_EQ(Print(op_print_c, MakeInput({}), OP_TARGET_MISUSE).find("misuse"), std::string::npos);
}

TEST(Print, HeadSaysWhatIsNotReplayed) {
  const std::string says = "// This program does not replay:\n";
  Bytes plain =
      MakeInput({MakeOp(OP_FAULT, 0, 0, 0, 0), MakeOp(OP_PURGE_MODE, 0, 0, 0, 0), MakeOp(OP_MALLOC, 0, 0, 0, 0)});
  EXPECT_EQ(HeadOf(Print(op_print_c, plain)).find(says), std::string::npos);
  EXPECT_NE(HeadOf(Print(op_print_c, plain)).find("//     HAKMEM_OPTIONS=chain_kib=64,pool_chains=16,"),
            std::string::npos);
  const std::pair<struct op, std::string> lacking[] = {
      {MakeOp(OP_FAULT, 1, 0, 0, 0), "memory calls that fail"},
      {MakeOp(OP_PURGE_MODE, 1, 0, 0, 0), "purges that do not work"},
      {MakeOp(OP_CLOCK, 0, 0, 1, 0), "time that passes"},
      {MakeOp(OP_THREAD_SWITCH, 1, 0, 0, 0), "threads: all calls are made by one"},
      {MakeOp(OP_MISUSE, 0, 0, OP_MISUSE_FREE_FORGED, 1), "misuse that is more than a call"},
      {MakeOp(OP_MISUSE, 0, 0, OP_MISUSE_OVERFLOW, 1), "misuse that is more than a call"},
      {MakeOp(OP_MISUSE, 0, 0, OP_MISUSE_REALLOC, 3), "misuse that is more than a call"},
  };
  for (const auto &one : lacking) {
    std::string head = HeadOf(Print(op_print_c, MakeInput({one.first})));
    EXPECT_NE(head.find(says + "//     " + one.second + "\n"), std::string::npos) << head;
    EXPECT_EQ(head.find(one.second), head.rfind("//     ") + 7) << head;
  }
  plain[4] = 9;
  EXPECT_NE(HeadOf(Print(op_print_c, plain)).find(says + "//     that there is a limit"), std::string::npos);
  plain[4] = 0;
  plain[7] = 3;
  EXPECT_NE(HeadOf(Print(op_print_c, plain, OP_TARGET_FAULTS)).find(says + "//     memory calls that fail\n"),
            std::string::npos);
}

TEST(Print, Executed) {
  Bytes input = MakeInput({MakeOp(OP_FREE, 0, 7, 0, 0), MakeOp(OP_REPEAT, 0, 0, 2, 0), MakeOp(OP_VERIFY, 0, 0, 0, 0)});
  EXPECT_EQ(Print(op_print_executed, input),
            "0 (0.0) free(slot 7)\n1 (0.1) free(slot 8)\n2 (0.2) free(slot 9)\n3 (2.0) verify\n");
}

// How many operations a printed program executes: its lines, those in loops as often as the loop runs.
size_t ExecutedByC(const Bytes &input) {
  std::string text = Print(op_print_c, input);
  size_t executed = 0, rounds = 0, position = text.find("int main(void)");
  position = text.find('\n', text.find("live_before", position)) + 1;
  for (size_t end; (end = text.find('\n', position)) != position; position = end + 1) {
    std::string line = text.substr(position, end - position);
    if (line.find("  for (unsigned i = 1; i <= ") == 0) {
      rounds = std::stoul(line.substr(28));
    } else if (line == "  }") {
      rounds = 0;
    } else {
      executed += rounds > 0 ? rounds : 1;
    }
  }
  return executed;
}

// The loops stand for what the cursor unrolls, also where the limit cuts one short.
TEST(Print, CProgramExecutesAsMuch) {
  struct random random;
  random_begin(&random, 9);
  for (int i = 0; i < 200; i++) {
    std::vector<struct op> ops;
    for (size_t k = random_below(&random, 60); k > 0; k--) {
      unsigned kind = random_percent(&random, 20) ? OP_REPEAT : OP_MALLOC;
      ops.push_back(MakeOp(kind, 0, random_below(&random, 16), random_below(&random, 256), 0));
    }
    Bytes input = MakeInput(ops);
    struct op_cursor cursor;
    struct op op;
    op_cursor_begin(&cursor, input.data(), input.size());
    while (op_next(&cursor, &op)) continue;
    ASSERT_EQ(ExecutedByC(input), cursor.executed) << "program " << i;
  }
}

}  // namespace
