// SPDX-License-Identifier: Apache-2.0
//
// The oracles: what a target holds an execution against. Each can be switched off, to see what the others find alone:
// FUZZ_ORACLES=all, =zero,errno or =-content,-differential. One that fails ends the process, with a line that names it and the
// operation. Layer: model.

#ifndef FUZZ_MODEL_ORACLE_H_
#define FUZZ_MODEL_ORACLE_H_

#include <stdbool.h>
#include <stddef.h>

// ORACLE(name, what it says)
#define ORACLES(ORACLE)                                                                              \
  ORACLE(overlap, "live blocks share no byte, and lie where the allocator says that blocks are")     \
  ORACLE(alignment, "a block is aligned as asked for, and to 16")                                    \
  ORACLE(header, "a live block's header is its class's")                                             \
  ORACLE(usable, "a block can hold what was asked for, and goes on to")                              \
  ORACLE(content, "a block's bytes are as they were written")                                        \
  ORACLE(zero, "calloc's blocks are zero to their end")                                              \
  ORACLE(error, "NULL comes with its errno and only where memory was refused; others keep errno")    \
  ORACLE(statistics, "the figures are the model's")                                                  \
  ORACLE(conservation, "live, cached and free blocks are those that were carved, each once")         \
  ORACLE(drain, "once everything is freed and trimmed, every block is back and no memory is in use") \
  ORACLE(memory_calls, "the system is never told to give back what is not held")                     \
  ORACLE(returned_memory, "a trim gives back what it says, and what it gave back is not resident")   \
  ORACLE(locks, "no lock is held after a call, or released unheld; no threads wait for each other")  \
  ORACLE(fork, "a child has every block and the whole heap, but for what others had in hand")        \
  ORACLE(differential, "both variants answer alike")                                                 \
  ORACLE(trace, "both variants hand out the same block of the same run")                             \
  ORACLE(check_heap, "hak_check_heap finds nothing where nothing is wrong")                          \
  ORACLE(misuse, "the Box reports misuse as what it is, and nothing else")                           \
  ORACLE(unchanged, "a call that was reported changed nothing")

enum oracle {
#define ORACLE(name, meaning) ORACLE_##name,
  ORACLES(ORACLE)
#undef ORACLE
      ORACLE_COUNT,
};

#ifdef __cplusplus
extern "C" {
#endif

// Reads FUZZ_ORACLES. Ends the process where it names an oracle that there is not.
void oracle_initialize(void);
bool oracle_is_on(enum oracle oracle);
// What is executed at the moment, for messages. The text stays the caller's.
void oracle_note_operation(size_t number, const char *heap, const char *call);
// Says what is wrong and aborts, if the oracle is on.
void oracle_failed(enum oracle oracle, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define ORACLE_CHECK(oracle, condition, ...)                                            \
  do {                                                                                  \
    if (__builtin_expect(!(condition), 0)) oracle_failed(ORACLE_##oracle, __VA_ARGS__); \
  } while (0)

#ifdef __cplusplus
}
#endif

#endif  // FUZZ_MODEL_ORACLE_H_
