// SPDX-License-Identifier: Apache-2.0
//
// Renames the public interface to HAK_PREFIX, so that one program can link the direct and the Box build side by side:
// a translation unit compiled with -DHAK_PREFIX=hak_box_ calls hak_box_malloc wherever it says hak_malloc.
// Included by hakmem.h where HAK_PREFIX is defined. tests/symbols checks that no name is missing here.

#ifndef HAKMEM_PREFIX_H_
#define HAKMEM_PREFIX_H_

#define HAK_PASTE_EXPANDED(prefix, name) prefix##name
#define HAK_PASTE(prefix, name) HAK_PASTE_EXPANDED(prefix, name)
#define HAK_PREFIXED(name) HAK_PASTE(HAK_PREFIX, name)

#define hak_malloc HAK_PREFIXED(malloc)
#define hak_calloc HAK_PREFIXED(calloc)
#define hak_realloc HAK_PREFIXED(realloc)
#define hak_reallocarray HAK_PREFIXED(reallocarray)
#define hak_free HAK_PREFIXED(free)
#define hak_free_sized HAK_PREFIXED(free_sized)
#define hak_free_aligned_sized HAK_PREFIXED(free_aligned_sized)
#define hak_aligned_alloc HAK_PREFIXED(aligned_alloc)
#define hak_memalign HAK_PREFIXED(memalign)
#define hak_posix_memalign HAK_PREFIXED(posix_memalign)
#define hak_valloc HAK_PREFIXED(valloc)
#define hak_pvalloc HAK_PREFIXED(pvalloc)
#define hak_usable_size HAK_PREFIXED(usable_size)
#define hak_trim HAK_PREFIXED(trim)
#define hak_get_statistics HAK_PREFIXED(get_statistics)
#define hak_statistics_print HAK_PREFIXED(statistics_print)
#define hak_options_print HAK_PREFIXED(options_print)
#define hak_set_misuse_handler HAK_PREFIXED(set_misuse_handler)
#define hak_check_heap HAK_PREFIXED(check_heap)
#define hak_build_info HAK_PREFIXED(build_info)

#endif  // HAKMEM_PREFIX_H_
