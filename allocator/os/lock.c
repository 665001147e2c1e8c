// SPDX-License-Identifier: Apache-2.0
//
// The slow half of the lock. Layer: os. Test: tests/unit/lock_test.cc.

#include "allocator/os/lock.h"

#include "allocator/base/atomics.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/os/os.h"

// Critical sections are short: most waits end within this many looks, without a system call.
#ifdef HAK_YIELD_POINTS
#define LOCK_SPINS 1
#else
#define LOCK_SPINS 100
#endif

HAK_INTERNAL_DEFINITION HAK_THREAD_LOCAL bool lock_all_held;

HAK_COLD void lock_acquire_slowly(struct lock *lock) {
  if (lock_all_held && !HAK_SEED_BUG(5)) return;
  for (unsigned i = 0; i < LOCK_SPINS; i++) {
    if (atomic_read_relaxed(&lock->state) == 0 && lock_try(lock)) return;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  int error = os_error_get();
  HAK_YIELD();
  while (__atomic_exchange_n(&lock->state, 2, __ATOMIC_ACQUIRE) != 0) os_wait(&lock->state, 2);
  if (!HAK_SEED_BUG(6)) os_error_set(error);
}

HAK_COLD void lock_wake(struct lock *lock) {
  int error = os_error_get();
  os_wake(&lock->state);
  os_error_set(error);
}
