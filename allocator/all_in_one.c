// SPDX-License-Identifier: Apache-2.0
//
// The whole allocator as one translation unit, lowest layer first: the production build, and a table of contents.
// Internal functions are static here (base/compiler.h).
//
//   -DHAK_CHECKS_LEVEL=0|1|2   direct, checked, Box
//   -DHAK_OVERRIDE_MALLOC=1    also malloc, free, operator new, … under their standard names
//   -DHAK_PREFIX=name_         the hak_* functions under another prefix
//   -DHAK_FAKE_OS=1            memory calls that tests can make fail
//   -DHAK_MEMORY_SOURCE=\"f\"   memory calls from another file, and
//   -DHAK_SMALL_GEOMETRY=1     small slabs, and
//   -DHAK_YIELD_POINTS=1       threads that are scheduled: all three for fuzz targets

#define HAK_ALL_IN_ONE 1
#define _GNU_SOURCE 1

#include "allocator/base/options.c"
#include "allocator/base/size_class.c"
#include "allocator/base/track.c"

#include "allocator/os/lock.c"
#if defined(HAK_MEMORY_SOURCE)
#include HAK_MEMORY_SOURCE
#elif defined(HAK_FAKE_OS)
#include "allocator/os/os_memory_fake.c"
#include "allocator/os/os_touched_linux.c"
#else
#include "allocator/os/os_memory_linux.c"
#include "allocator/os/os_touched_linux.c"
#endif
#include "allocator/os/os_process_linux.c"
#include "allocator/os/os_inspect_linux.c"
#include "allocator/os/text.c"
#include "allocator/os/misuse.c"

#include "allocator/page_arena/metadata.c"
#include "allocator/page_arena/registry.c"
#include "allocator/page_arena/stack_depot.c"
#include "allocator/page_arena/free_memory.c"
#include "allocator/page_arena/block_record.c"
#include "allocator/page_arena/span.c"
#include "allocator/page_arena/purge.c"
#include "allocator/page_arena/page_arena.c"
#include "allocator/page_arena/large_block.c"

#include "allocator/shared_pool/record_table.c"
#include "allocator/shared_pool/slab_blocks.c"
#include "allocator/shared_pool/shared_pool.c"

#include "allocator/thread_cache/box.c"
#include "allocator/thread_cache/quarantine.c"
#include "allocator/thread_cache/thread_record.c"
#include "allocator/thread_cache/thread_cache.c"

#include "allocator/api/options_parse.c"
#include "allocator/api/process_lifecycle.c"
#include "allocator/api/box_api.c"
#include "allocator/api/malloc_api.c"
#include "allocator/api/check_heap.c"
#include "allocator/api/aligned_api.c"
#include "allocator/api/statistics.c"
#include "allocator/api/build_info.c"
#include "allocator/api/libc_override.c"
#include "allocator/api/cxx_operators.c"
