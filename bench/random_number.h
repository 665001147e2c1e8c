// SPDX-License-Identifier: Apache-2.0
//
// The benchmarks' random numbers: a Weyl sequence (the state grows by an odd constant) whose states are mixed by one
// 64 x 64 -> 128 bit multiplication, as in wyrand. The next state waits for one addition only, so the processor can
// work ahead as far as the allocator lets it; and since the n-th state is known beforehand, the state also counts the
// loop. There is no division: a range is met by taking the high half of a product.

#ifndef BENCH_RANDOM_NUMBER_H_
#define BENCH_RANDOM_NUMBER_H_

#include <stdint.h>

#define RANDOM_STRIDE 0xa0761d6478bd642fULL

// The 64 random bits of a state. States follow each other at a distance of RANDOM_STRIDE.
static inline uint64_t random_bits(uint64_t state) {
  unsigned __int128 product = (unsigned __int128)state * (state ^ 0xe7037ed1a0b428dbULL);
  return (uint64_t)(product >> 64) ^ (uint64_t)product;
}

// A number in [0, limit) from 32 random bits. limit is at most 2^32.
static inline uint64_t random_below(uint32_t bits, uint64_t limit) { return (bits * limit) >> 32; }

// The state from which stream number `stream` of a seed starts: far from those of other streams and seeds.
static inline uint64_t random_start(uint64_t seed, uint64_t stream) {
  uint64_t mixed = seed + (stream + 1) * 0x9e3779b97f4a7c15ULL;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
  return mixed ^ (mixed >> 31);
}

#endif  // BENCH_RANDOM_NUMBER_H_
