// SPDX-License-Identifier: Apache-2.0
//
// Whether memcheck runs, which is found out when the process starts. Layer: base. Test: tests/valgrind.

#include "allocator/base/track.h"

#ifdef HAK_TRACK_MEMCHECK
HAK_INTERNAL_DEFINITION bool track_memcheck;
#endif
