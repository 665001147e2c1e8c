// SPDX-License-Identifier: Apache-2.0
//
// One variant of the allocator with the seeded bugs, for seeded_bugs_test. Layer: seeded.

#include "allocator/all_in_one.c"
