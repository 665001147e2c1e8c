// SPDX-License-Identifier: Apache-2.0
//
// Where another thread may come between, in builds whose threads a fuzz target schedules (fuzz/schedule): at every lock, at
// every atomic access, and between the stores whose order a fork relies on. In all other builds it is nothing. Layer: base. No
// state.

#ifndef ALLOCATOR_BASE_YIELD_H_
#define ALLOCATOR_BASE_YIELD_H_

#ifdef HAK_YIELD_POINTS
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
void yield_point(void);
// What a futex does, for threads one of which runs at a time.
void yield_wait(const uint32_t *word, uint32_t expected);
void yield_wake(const uint32_t *word);
// A lock is released that had this state: 0 is a mistake.
void yield_released(uint32_t state);
#ifdef __cplusplus
}
#endif

#define HAK_YIELD() yield_point()
#define HAK_YIELD_RELEASED(state) yield_released(state)
#else
#define HAK_YIELD() ((void)0)
#define HAK_YIELD_RELEASED(state) ((void)0)
#endif

#endif  // ALLOCATOR_BASE_YIELD_H_
