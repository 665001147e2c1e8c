// SPDX-License-Identifier: Apache-2.0
//
// Atomic accesses by the compiler's builtins, which C and C++ share (the tests are C++). Layer: base. No state.

#ifndef ALLOCATOR_BASE_ATOMICS_H_
#define ALLOCATOR_BASE_ATOMICS_H_

#include "allocator/base/yield.h"

#define atomic_read_relaxed(address) (HAK_YIELD(), __atomic_load_n((address), __ATOMIC_RELAXED))
#define atomic_read_acquire(address) (HAK_YIELD(), __atomic_load_n((address), __ATOMIC_ACQUIRE))
#define atomic_write_relaxed(address, value) (HAK_YIELD(), __atomic_store_n((address), (value), __ATOMIC_RELAXED))
#define atomic_write_release(address, value) (HAK_YIELD(), __atomic_store_n((address), (value), __ATOMIC_RELEASE))
#define atomic_add_relaxed(address, value) (HAK_YIELD(), __atomic_fetch_add((address), (value), __ATOMIC_RELAXED))

#endif  // ALLOCATOR_BASE_ATOMICS_H_
