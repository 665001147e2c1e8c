// SPDX-License-Identifier: Apache-2.0
//
// Start, fork, exit. Layer: api; calls every layer below. Lock: its own, around the one initialisation.
// Test: tests/unit/fork_test.cc, tests/system.
//
// Start: the first slow path of the process initialises, wherever it happens: in a constructor of another library, while
// the loader sets up thread-local storage, or in main. Nothing here allocates before that is done.
//
// Fork: the thread that forks holds every lock of the allocator while the kernel copies the process, taken in the order
// of the layers; so the child finds every structure whole. It takes over what the other threads had cached.

#include "allocator/api/process_lifecycle.h"

#include "allocator/api/check_heap.h"
#include "allocator/api/options_parse.h"
#include "allocator/base/options.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/os/lock.h"
#include "allocator/os/os.h"
#include "allocator/os/text.h"
#include "allocator/os/misuse.h"
#include "allocator/page_arena/page_arena.h"
#include "allocator/page_arena/stack_depot.h"
#include "allocator/shared_pool/shared_pool.h"
#include "allocator/thread_cache/thread_cache.h"
#include "hakmem/hakmem.h"

HAK_INTERNAL_DEFINITION bool process_initialized;

static struct lock initialize_lock;
static bool options_parsed;
static bool fork_hooks_registered;

static void register_fork_hooks(void);

HAK_COLD bool process_initialize(void) {
  int error = os_error_get();
  lock_acquire(&initialize_lock);
  if (!options_parsed) {
    options_parsed = true;
    HAK_TRACK_START();
    options_parse(os_environment("HAKMEM_OPTIONS"));
    thread_cache_initialize();
  }
  if (!process_initialized && page_arena_initialize()) atomic_write_release(&process_initialized, true);
  bool initialized = process_initialized;
  bool hooks_wanted = initialized && !fork_hooks_registered;
  if (hooks_wanted) fork_hooks_registered = true;
  lock_release(&initialize_lock);
  // Without the lock, because it may allocate.
  if (hooks_wanted) register_fork_hooks();
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX && hooks_wanted && options.box_stacks > 0) stack_depot_prepare();
  os_error_set(error);
  return initialized;
}

static void fork_prepare(void) {
  lock_acquire(&initialize_lock);
  thread_cache_lock_all();
  shared_pool_lock_all();
  page_arena_lock_all();
  lock_all_held = true;
}

static void fork_release(void) {
  lock_all_held = false;
  page_arena_unlock_all();
  shared_pool_unlock_all();
  thread_cache_unlock_all();
  if (!HAK_SEED_BUG(109)) lock_release(&initialize_lock);
}

static void fork_child(void) {
  fork_release();
  if (!HAK_SEED_BUG(110)) thread_cache_adopt_after_fork();
}

// At the first allocation of the process. Handlers that others registered before that run between these, while the locks
// are held, and may allocate all the same (lock_all_held).
static void register_fork_hooks(void) { (void)os_fork_hooks(fork_prepare, fork_release, fork_child); }

HAK_PUBLIC hak_misuse_handler hak_set_misuse_handler(hak_misuse_handler handler) { return misuse_set_handler(handler); }

__attribute__((constructor(101))) static void start(void) { process_ready(); }

__attribute__((destructor(101))) static void end(void) {
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX && options.box_leaks) check_heap_print_leaks();
  if (options.statistics_at_exit) hak_statistics_print(HAK_STANDARD_ERROR);
}
