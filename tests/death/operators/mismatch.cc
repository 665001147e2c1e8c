// SPDX-License-Identifier: Apache-2.0
//
// Blocks that go back by another family of functions, or with another size, than they came.

#include <stdlib.h>

#include <new>

#include "tests/death/misuse.h"

MISUSE_WITH(match_malloc_and_delete, "malloc and delete, with box_match_functions", "box_match_functions=1") {
  ::operator delete(opaque(malloc(100)));
}
MISUSE_WITH(match_new_and_free, "new and free, with box_match_functions", "box_match_functions=1") {
  free(opaque(::operator new(100)));
}
MISUSE_WITH(match_new_array_and_delete, "new[] and delete, with box_match_functions", "box_match_functions=1") {
  ::operator delete(opaque(::operator new[](100)));
}
MISUSE_WITH(match_new_and_delete_array, "new and delete[], with box_match_functions", "box_match_functions=1") {
  ::operator delete[](opaque(::operator new(100)));
}
MISUSE_WITH(match_new_and_realloc, "new and realloc, with box_match_functions", "box_match_functions=1") {
  (void)!realloc(opaque(::operator new(100)), 200);
}
MISUSE_WITH(match_large_new_and_free, "new and free of a large block, with box_match_functions",
            "box_match_functions=1") {
  free(opaque(::operator new(100000)));
}
MISUSE(delete_twice, "delete twice") {
  void *const block = opaque(::operator new(100)), *const same = opaque(block);
  ::operator delete(block);
  ::operator delete(same);
}
MISUSE(delete_with_wrong_size, "delete with the size of another class") {
  ::operator delete(opaque(::operator new(100)), static_cast<size_t>(50));
}
MISUSE(delete_array_with_wrong_size, "delete[] with a size of the same class") {
  ::operator delete[](opaque(::operator new[](100)), static_cast<size_t>(99));
}
MISUSE(delete_with_wrong_alignment, "delete with a wrong alignment") {
  ::operator delete(opaque(::operator new(100, std::align_val_t(64))), std::align_val_t(128));
}
MISUSE(delete_without_alignment, "aligned new and delete with a wrong size") {
  ::operator delete(opaque(::operator new(100, std::align_val_t(64))), static_cast<size_t>(99), std::align_val_t(64));
}
MISUSE(delete_of_aligned_new, "aligned new and delete without an alignment") {
  ::operator delete(opaque(::operator new(100, std::align_val_t(64))));
}
MISUSE(delete_of_aligned_large_new,
       "aligned new[] of a large block and delete[] with a size and without an alignment") {
  ::operator delete[](opaque(::operator new[](100000, std::align_val_t(64))), static_cast<size_t>(100000));
}
CONTROL_WITH(control_operators, "operators that match", "box_match_functions=1") {
  for (size_t size = 0; size < 200000; size = size * 3 + 1) {
    ::operator delete(opaque(::operator new(size)));
    ::operator delete(opaque(::operator new(size)), size);
    ::operator delete[](opaque(::operator new[](size)));
    ::operator delete[](opaque(::operator new[](size)), size);
    ::operator delete(opaque(::operator new(size, std::nothrow)), std::nothrow);
    ::operator delete(opaque(::operator new(size, std::align_val_t(64))), std::align_val_t(64));
    ::operator delete(opaque(::operator new(size, std::align_val_t(256))), size, std::align_val_t(256));
    ::operator delete[](opaque(::operator new[](size, std::align_val_t(256))), size, std::align_val_t(256));
    free(opaque(malloc(size)));
  }
}
CONTROL(control_mismatch_without_option,
        "mismatched functions without box_match_functions, which is off at the start") {
  free(opaque(::operator new(100)));
  ::operator delete(opaque(malloc(100)));
  ::operator delete[](opaque(::operator new(100)));
  ::operator delete(opaque(aligned_alloc(64, 128)));
  ::operator delete[](opaque(::operator new(100, std::align_val_t(64))));
  free(opaque(::operator new(100, std::align_val_t(64))));
}
