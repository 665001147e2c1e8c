// SPDX-License-Identifier: Apache-2.0
//
// Compiler attributes, and what makes a function internal. Layer: base. No state.
//
// The production build compiles allocator/all_in_one.c alone: internal functions are static there, so that a static
// link adds no names but the public ones. Tests and the layer checker build every file by itself; internals are hidden
// symbols then. Both come from the same declarations.

#ifndef ALLOCATOR_BASE_COMPILER_H_
#define ALLOCATOR_BASE_COMPILER_H_

#include "allocator/base/yield.h"

#ifdef HAK_ALL_IN_ONE
#define HAK_INTERNAL static __attribute__((unused))
#define HAK_INTERNAL_DATA static __attribute__((unused))
#define HAK_INTERNAL_DEFINITION static
#else
#define HAK_INTERNAL extern __attribute__((visibility("hidden")))
#define HAK_INTERNAL_DATA extern __attribute__((visibility("hidden")))
#define HAK_INTERNAL_DEFINITION
#endif

#ifdef __cplusplus
#define HAK_BEGIN_DECLARATIONS extern "C" {
#define HAK_END_DECLARATIONS }
#define HAK_STATIC_ASSERT static_assert
#else
#define HAK_BEGIN_DECLARATIONS
#define HAK_END_DECLARATIONS
#define HAK_STATIC_ASSERT _Static_assert
#endif

#ifdef HAK_WEAK_PUBLIC
#define HAK_PUBLIC __attribute__((visibility("default"), weak))
#else
#define HAK_PUBLIC __attribute__((visibility("default")))
#endif
#define HAK_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define HAK_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define HAK_INLINE static inline __attribute__((always_inline, unused))
// Slow functions: out of the way of the fast path's code, and never inlined into it.
#define HAK_COLD __attribute__((cold, noinline))
#define HAK_CACHE_LINE 64
#define HAK_CACHE_ALIGNED __attribute__((aligned(HAK_CACHE_LINE)))

// Thread-local data must be reachable without a call and without an allocation, in an executable and in a preloaded or
// dlopened library alike; the linker turns this model into local-exec where hakmem is linked into the executable.
#define HAK_THREAD_LOCAL __thread __attribute__((tls_model("initial-exec")))

// Keeps the compiler from moving memory accesses across this point; costs no instruction.
#define HAK_COMPILER_BARRIER() (HAK_YIELD(), __atomic_signal_fence(__ATOMIC_SEQ_CST))

#if defined(__SANITIZE_THREAD__)
#define HAK_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAK_THREAD_SANITIZER 1
#endif
#endif

// Whether a sanitizer is built in that brings its own malloc, without which it finds nothing.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__SANITIZE_HWADDRESS__)
#define HAK_SANITIZER_HAS_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer) || \
    __has_feature(hwaddress_sanitizer) || __has_feature(leak_sanitizer)
#define HAK_SANITIZER_HAS_MALLOC 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#define HAK_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAK_ADDRESS_SANITIZER 1
#endif
#if __has_feature(memory_sanitizer)
#define HAK_MEMORY_SANITIZER 1
#endif
#endif

#ifdef HAK_THREAD_SANITIZER
#define HAK_NO_THREAD_SANITIZER __attribute__((no_sanitize("thread"), noinline))
#else
#define HAK_NO_THREAD_SANITIZER
#endif

#endif  // ALLOCATOR_BASE_COMPILER_H_
