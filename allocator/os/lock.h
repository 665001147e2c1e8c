// SPDX-License-Identifier: Apache-2.0
//
// A lock of four bytes: one compare-and-swap where nobody waits, a futex where somebody does. All zero is unlocked.
// Layer: os. Locks are taken in the order of the layers, from the top down.

#ifndef ALLOCATOR_OS_LOCK_H_
#define ALLOCATOR_OS_LOCK_H_

#include <stdbool.h>
#include <stdint.h>

#include "allocator/base/compiler.h"
#include "allocator/base/seeded_bug.h"

struct lock {
  uint32_t state;  // 0 free, 1 held, 2 held and somebody may sleep
};

HAK_BEGIN_DECLARATIONS
// Set while the thread holds every lock of the allocator, for a fork. Handlers of others that run in that time may
// allocate: the thread passes its own locks, and releases none of them.
HAK_INTERNAL_DATA HAK_THREAD_LOCAL bool lock_all_held;
HAK_INTERNAL void lock_acquire_slowly(struct lock *lock);
HAK_INTERNAL void lock_wake(struct lock *lock);
HAK_END_DECLARATIONS

HAK_INLINE bool lock_try(struct lock *lock) {
  uint32_t expected = 0;
  return __atomic_compare_exchange_n(&lock->state, &expected, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

HAK_INLINE void lock_acquire(struct lock *lock) {
  HAK_YIELD();
  if (HAK_UNLIKELY(!lock_try(lock))) lock_acquire_slowly(lock);
}

HAK_INLINE void lock_release(struct lock *lock) {
  if (HAK_UNLIKELY(lock_all_held)) return;
  uint32_t state = __atomic_exchange_n(&lock->state, 0, __ATOMIC_RELEASE);
  HAK_YIELD_RELEASED(state);
  if (HAK_UNLIKELY(state == 2) && !HAK_SEED_BUG(4)) lock_wake(lock);
  HAK_YIELD();
}

#endif  // ALLOCATOR_OS_LOCK_H_
