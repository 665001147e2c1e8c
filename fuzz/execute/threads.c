// SPDX-License-Identifier: Apache-2.0
//
// The execution of a program by several threads. The model is told of a call before it begins and after it ended, by the thread
// that makes it; nobody else runs then. Layer: execute. Not instrumented. Test: fuzz/execute/threads_test.cc.

#include "fuzz/execute/threads.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/execute/execute.h"
#include "fuzz/op/op_print.h"
#include "fuzz/op/op_target.h"
#include "fuzz/schedule/schedule.h"

#define LIVE_BYTES_MAX ((size_t)2 << 20)
#define FORK_HANDLER_BYTES_MAX ((size_t)1 << 20)
// No error that hakmem knows.
#define ERRNO_BEFORE 0x5A

struct worker {
  uint16_t step;  // that it executes, or comes to next
  bool begun;     // it executes it
  bool stopped;
  uint32_t resume_at;  // steps finished by then
  uint32_t priority;
  unsigned lingers;  // so many steps until it has a cache again
};

static struct {
  struct threads_program program;
  struct model model;
  const struct heap *heap;
  struct heap door;  // the heap, whose calls others come between
  struct worker workers[OP_THREADS];
  bool finished[THREADS_STEPS_MAX];
  uint32_t finished_count;
  uint32_t last_priority;
  size_t fork_handler_bytes;
  struct {
    void *user;
    unsigned frees, reports;
    bool on;
  } race;
} run;

// ---- Calls that can be stopped --------------------------------------------------------------------------------------

#define STEP(thread) (&run.program.steps[run.workers[thread].step])

static void note_step(unsigned thread) {
  uint16_t number = run.workers[thread].step;
  const char *call = number == THREADS_NO_STEP ? "the thread's end" : op_kind_name(run.program.steps[number].op.kind);
  oracle_note_operation(number, run.heap->name, call);
}

// Of the thread that runs: which it is, is not known to the functions of the door.
static __thread unsigned own_thread;

static void end_call(void) {
  schedule_call_end();
  note_step(own_thread);
}

#define DOOR(type, name, parameters, arguments) \
  static type door_##name parameters {          \
    schedule_call_begin();                      \
    type result = run.heap->name arguments;     \
    end_call();                                 \
    return result;                              \
  }
#define DOOR_VOID(name, parameters, arguments) \
  static void door_##name parameters {         \
    schedule_call_begin();                     \
    run.heap->name arguments;                  \
    end_call();                                \
  }

DOOR(void *, malloc, (size_t size), (size))
DOOR(void *, calloc, (size_t count, size_t size), (count, size))
DOOR(void *, realloc, (void *pointer, size_t size), (pointer, size))
DOOR(void *, reallocarray, (void *pointer, size_t count, size_t size), (pointer, count, size))
DOOR_VOID(free, (void *pointer), (pointer))
DOOR_VOID(free_sized, (void *pointer, size_t size), (pointer, size))
DOOR_VOID(free_aligned_sized, (void *pointer, size_t alignment, size_t size), (pointer, alignment, size))
DOOR(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size))
DOOR(void *, memalign, (size_t alignment, size_t size), (alignment, size))
DOOR(int, posix_memalign, (void **result_place, size_t alignment, size_t size), (result_place, alignment, size))
DOOR(void *, valloc, (size_t size), (size))
DOOR(void *, pvalloc, (size_t size), (size))
DOOR(int, trim, (size_t keep), (keep))
DOOR(size_t, usable_size, (const void *pointer), (pointer))
DOOR(int, get_statistics, (struct hak_statistics * statistics, size_t size), (statistics, size))
DOOR(bool, end_own_thread, (bool lingers), (lingers))

// What the model asks on its own account, others do not come between: those are the heap's own.
static void make_door(void) {
  run.door = *run.heap;
  run.door.malloc = door_malloc;
  run.door.calloc = door_calloc;
  run.door.realloc = door_realloc;
  run.door.reallocarray = door_reallocarray;
  run.door.free = door_free;
  run.door.free_sized = door_free_sized;
  run.door.free_aligned_sized = door_free_aligned_sized;
  run.door.aligned_alloc = door_aligned_alloc;
  run.door.memalign = door_memalign;
  run.door.posix_memalign = door_posix_memalign;
  run.door.valloc = door_valloc;
  run.door.pvalloc = door_pvalloc;
  run.door.trim = door_trim;
}

// ---- Who goes on ----------------------------------------------------------------------------------------------------

static bool is_ready(const struct worker *worker) {
  if (worker->begun || worker->step == THREADS_NO_STEP) return true;
  const struct threads_step *step = &run.program.steps[worker->step];
  if (step->before != THREADS_NO_STEP && !run.finished[step->before]) return false;
  return run.finished_count >= step->need;
}

static uint64_t order_of(const struct worker *worker) {
  uint64_t order = run.program.by_priority ? worker->priority : worker->step;
  bool stopped = worker->stopped && run.finished_count < worker->resume_at;
  return order | (uint64_t)stopped << 40;
}

static unsigned choose(void *context, uint32_t candidates) {
  unsigned chosen = SCHEDULE_NONE;
  (void)context;
  for (unsigned i = 0; i < OP_THREADS; i++) {
    if ((candidates >> i & 1) == 0 || !is_ready(&run.workers[i])) continue;
    if (chosen == SCHEDULE_NONE || order_of(&run.workers[i]) < order_of(&run.workers[chosen])) chosen = i;
  }
  return chosen;
}

static void stopped(void *context, unsigned thread) {
  struct worker *worker = &run.workers[thread];
  (void)context;
  uint16_t lasts = worker->step == THREADS_NO_STEP ? THREADS_FOR_EVER : STEP(thread)->stop_lasts;
  if (run.program.by_priority && lasts == THREADS_FOR_EVER) {
    worker->priority = ++run.last_priority;
    return;
  }
  worker->stopped = true;
  worker->resume_at = lasts == THREADS_FOR_EVER ? UINT32_MAX : run.finished_count + lasts;
}

static void released_unheld(void *context) {
  (void)context;
  oracle_failed(ORACLE_locks, "a lock was released that nobody held");
}

static void stuck(void *context, const char *why) {
  (void)context;
  oracle_failed(ORACLE_locks, "%s", why);
  // Whatever is switched off: nothing can follow.
  fprintf(stderr, "fuzz: %s\n", why);
  __builtin_trap();
}

// ---- Steps ----------------------------------------------------------------------------------------------------------

static void note_misuse(const struct hak_misuse *misuse) {
  if (run.race.on) {
    run.race.reports++;
    return;
  }
  schedule_call_end();
  oracle_failed(ORACLE_misuse, "reported, where nothing was wrong: %s: %s", misuse->function, misuse->message);
}

// A block of the Box's whose memory stays readable, whatever is given back. Others are freed once.
static bool may_race(const struct model_block *block) {
  return run.heap->checks_level == 2 && run.program.setup.address_limit_superslabs == 0 && block->user != NULL &&
         block->place.size_class != 0;
}

static void execute_race(const struct threads_step *step) {
  const struct model_block *block = &run.model.slots[step->op.slot];
  if (run.race.frees == 0) {
    run.race.on = may_race(block);
    run.race.user = block->user;
    run.race.reports = 0;
    if (run.race.on) {
      model_leave(&run.model, step->op.slot);
    } else if (block->user != NULL) {
      call_free(&run.model, step->op.slot);
    }
  }
  run.race.frees++;
  if (run.race.on) door_free(run.race.user);
}

// Called by whoever is the last of both.
static void end_race(void) {
  ORACLE_CHECK(misuse, !run.race.on || run.race.reports == 1, "%u reports of one block that two threads freed",
               run.race.reports);
  run.race.on = false;
  run.race.frees = 0;
}

static void ask_usable(unsigned slot) {
  const struct model_block block = run.model.slots[slot];
  if (block.user == NULL) return;
  size_t usable = door_usable_size(block.user), expected = block.usable;
  ORACLE_CHECK(usable, usable == expected, "usable_size says %zu, and %zu before", usable, expected);
}

static void read_statistics(void) {
  static struct hak_statistics_buffer {
    uint64_t words[2048];
  } buffer[OP_THREADS];
  if (schedule_others_in_call() == 0) {
    model_check_figures(&run.model);
  } else {
    errno = ERRNO_BEFORE;
    door_get_statistics((struct hak_statistics *)&buffer[own_thread], sizeof buffer[own_thread]);
    ORACLE_CHECK(error, errno == ERRNO_BEFORE, "get_statistics changed errno to %d", errno);
  }
}

static bool is_left_out(const struct op *op, const struct op_arguments *arguments) {
  if (op->kind > OP_PAGE_ALLOC) return false;
  size_t window = run.heap->window_bytes;
  size_t alignment = arguments->alignment < window ? arguments->alignment : 0;
  return arguments->bytes <= window && arguments->bytes + alignment + run.model.live_bytes > LIVE_BYTES_MAX;
}

static void execute_operation_of(const struct threads_step *step) {
  struct op_arguments arguments = op_resolve(&step->op);
  if (is_left_out(&step->op, &arguments)) return;
  switch (step->op.kind) {
    case OP_USABLE_SIZE:
      ask_usable(step->op.slot);
      break;
    case OP_STATISTICS:
      read_statistics();
      break;
    case OP_CHECK_HEAP:
      // Others must not allocate or free meanwhile.
      if (schedule_others_in_call() == 0) model_check_calls(&run.model);
      break;
    default:
      call_operation(&run.model, &step->op, &arguments);
      break;
  }
}

// What a handler of the program may do while its thread holds all locks. The block is nobody's before and after.
static void allocate_in_fork_handler(void *context) {
  size_t size = run.fork_handler_bytes;
  (void)context;
  void *user = size != 0 ? run.heap->malloc(size) : NULL;
  if (user == NULL) return;
  memset(user, 0x5A, size);
  run.heap->free(user);
}

// The size of what is allocated in between: that of a malloc with the same selector and delta, or nothing.
static void execute_fork(const struct op *op) {
  bool hangs;
  size_t size = op_size(op->selector, op->delta);
  run.fork_handler_bytes = size <= FORK_HANDLER_BYTES_MAX ? size : 0;
  pid_t child = schedule_fork(THREADS_CHILD_SECONDS, &hangs);
  if (child < 0) return;
  if (child == 0) {
    run.model.heap = run.heap;
    threads_child(&run.model, schedule_others_in_call(), LIVE_BYTES_MAX);
  }
  note_step(own_thread);
  threads_await_child(child, hangs);
}

static void execute_step(unsigned thread, struct worker *worker) {
  const struct threads_step *step = STEP(thread);
  note_step(thread);
  if (worker->lingers > 0 && --worker->lingers == 0) run.heap->begin_own_thread(thread);
  schedule_stop_after(step->stop_points, step->stop_accesses);
  switch (step->role) {
    case THREADS_EXIT:
      worker->lingers = door_end_own_thread(step->op.selector % 2 != 0) ? 2 : 0;
      break;
    case THREADS_FORK:
      execute_fork(&step->op);
      break;
    case THREADS_RACE:
      execute_race(step);
      break;
    default:
      execute_operation_of(step);
      break;
  }
  schedule_stop_after(0, 0);
}

static void end_step(struct worker *worker) {
  const struct threads_step *step = &run.program.steps[worker->step];
  run.finished[worker->step] = true;
  run.finished_count++;
  if (step->role == THREADS_RACE && run.finished_count == step->need + 2u) end_race();
  worker->begun = false;
  worker->stopped = false;
  worker->step = step->next;
}

static void be_thread(void *context, unsigned thread) {
  struct worker *worker = &run.workers[thread];
  (void)context;
  own_thread = thread;
  run.heap->begin_own_thread(thread);
  while (worker->step != THREADS_NO_STEP) {
    worker->begun = true;
    execute_step(thread, worker);
    end_step(worker);
    schedule_switch();
  }
  note_step(thread);
  door_end_own_thread(false);
}

// ---- An input -------------------------------------------------------------------------------------------------------

static void begin(const struct heap *heap) {
  char options[256];
  const struct op_setup *setup = &run.program.setup;
  run.heap = heap;
  make_door();
  op_write_options(options, sizeof options, setup);
  heap->reset(options);
  heap->set_misuse_handler(note_misuse);
  execute_limit_memory(heap, setup);
  model_begin(&run.model, &run.door);
  memset(run.workers, 0, sizeof run.workers);
  memset(run.finished, 0, run.program.count * sizeof run.finished[0]);
  run.finished_count = 0;
  run.last_priority = OP_THREADS;
  run.race.on = false;
  run.race.frees = 0;
}

static void print(void) {
  static const char *const roles[] = {"", "", " (forks)", " (is one of two that free it)"};
  fprintf(stderr, "%s:\n", run.heap->name);
  for (size_t i = 0; i < run.program.count; i++) {
    const struct threads_step *step = &run.program.steps[i];
    fprintf(stderr, "%zu thread %u: ", i, step->thread);
    op_print_operation(&step->op, stderr);
    fputs(roles[step->role], stderr);
    if (step->stop_points != 0) {
      fprintf(stderr, ", stops at point %u + %u", step->stop_points, step->stop_accesses);
      if (step->stop_lasts != THREADS_FOR_EVER) fprintf(stderr, " for %u operations", step->stop_lasts);
    }
    fputc('\n', stderr);
  }
}

static void end(void) {
  struct model *model = &run.model;
  model->heap = run.heap;
  oracle_note_operation(run.program.count, run.heap->name, "end");
  run.heap->memory->fail_kinds = 0;
  model_verify_all(model);
  model_check_figures(model);
  model_check_calls(model);
  for (unsigned slot = 0; slot < MODEL_SLOTS; slot++) {
    if (model->slots[slot].user != NULL) call_free(model, slot);
  }
  model_check_drained(model, false);
}

uint64_t threads_input(const struct heap *heap, const uint8_t *data, size_t size) {
  static const struct schedule_policy policy = {.body = be_thread,
                                                .choose = choose,
                                                .stopped = stopped,
                                                .released_unheld = released_unheld,
                                                .in_fork_handler = allocate_in_fork_handler,
                                                .stuck = stuck};
  uint32_t threads = 0;
  threads_program_read(&run.program, data, size);
  begin(heap);
  bool prints = getenv("FUZZ_PRINT") != NULL;
  if (prints) print();
  for (unsigned i = 0; i < OP_THREADS; i++) {
    run.workers[i].step = run.program.first[i];
    run.workers[i].priority = run.program.priority[i];
    if (run.program.first[i] != THREADS_NO_STEP) threads |= 1u << i;
  }
  uint64_t trace = schedule_run(&policy, threads);
  if (prints) fprintf(stderr, "%s: schedule %016" PRIx64 "\n", heap->name, trace);
  end();
  return trace;
}
