// SPDX-License-Identifier: Apache-2.0
//
// Runs a program of fuzz/op on one heap with real threads, which fuzz/schedule lets run one at a time. Layer: execute; calls
// op, model, heap and schedule. Not instrumented.
//
// What is particular to the language here:
//
//   thread_switch  The next operations are thread flags % 4's. The one before it stops on its way, where selector and delta
//                  say (threads_program.c), and goes on once others have finished as many operations as slot says, or when
//                  nobody else can. In a repetition it stops an access later each time, or a point without accesses.
//   thread_exit    With an odd selector the thread does its next operation without a cache. With flags of 4 and more it forks
//                  instead, once an input, if bit 3 of schedule_points is set; a fork handler allocates meanwhile, as
//                  malloc would with selector and delta.
//   misuse         Two threads free the slot's block at once: with the Box one of them is told.
//   schedule_points, schedule_seed
//                  Bits 0 and 1: if 0, operations go on in the order of the program, and the seed has some of them stop on
//                  their way; otherwise threads go on by random priorities, with so many points, and more in long programs,
//                  at which the thread that runs becomes the last (probabilistic concurrency testing: Burckhardt and
//                  others, 2010). Bit 2: operations are spread over all threads by their slots. If the seed is odd, most
//                  sizes are of three classes and slots of 32, so that the threads meet.
//
// FUZZ_PRINT=1 prints what is executed, by whom, and where it stops.
//
// Whatever the schedule, the operations of a thread, and those of a slot, are executed in the order of the program. So each
// block has one owner at a time, who hands it on.

#ifndef FUZZ_EXECUTE_THREADS_H_
#define FUZZ_EXECUTE_THREADS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fuzz/heap/heap.h"
#include "fuzz/model/model.h"
#include "fuzz/op/op.h"

#ifdef __cplusplus
extern "C" {
#endif

// Executes an input. Returns a number that stands for the schedule and is the same each time.
uint64_t threads_input(const struct heap *heap, const uint8_t *data, size_t size);

// Inside.
enum threads_role {
  THREADS_OPERATION,
  THREADS_EXIT,
  THREADS_FORK,
  THREADS_RACE,  // two in a row, of two threads
};

// More is not executed: each hand-over takes some microseconds.
#define THREADS_STEPS_MAX 1000
#define THREADS_NO_STEP UINT16_MAX
#define THREADS_FOR_EVER UINT16_MAX

struct threads_step {
  struct op op;
  uint8_t thread;
  uint8_t role;
  uint16_t next;    // of the same thread
  uint16_t before;  // the step before it with the same slot, which comes first
  uint16_t need;    // so many steps are finished before
  // Where it stops, and for how many steps of others.
  uint16_t stop_points;
  uint16_t stop_accesses;
  uint16_t stop_lasts;
};

struct threads_program {
  struct op_setup setup;
  struct threads_step steps[THREADS_STEPS_MAX];
  size_t count;
  uint16_t first[OP_THREADS];
  bool by_priority;
  uint32_t priority[OP_THREADS];  // at the beginning; the least goes first
};

void threads_program_read(struct threads_program *program, const uint8_t *data, size_t size);

// In a child of a fork, which has no other thread: looks at the heap, uses it, and ends the process. others: the threads that
// were within a call, as bits.
void threads_child(struct model *model, uint32_t others, size_t live_bytes_max) __attribute__((noreturn));
// What became of the child.
void threads_await_child(int child, bool hangs);
#define THREADS_CHILD_SECONDS 10

#ifdef __cplusplus
}
#endif

#endif  // FUZZ_EXECUTE_THREADS_H_
