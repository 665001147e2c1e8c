// SPDX-License-Identifier: Apache-2.0
//
// C++ operator new and delete, by their mangled names. In C, so that a C program that links or preloads hakmem does not
// depend on a C++ library: what is needed to throw is looked up, weakly or in the libraries that are loaded.
// Layer: api. Compiled like libc_override.c. Test: tests/system/cxx_operators.
//
// The nothrow forms of new are not here: the C++ library's own call the throwing ones, which are these, and catch, as
// the standard has it.
//
// Names: nw new, na new[], dl delete, da delete[]; then m size, P v pointer, St11align_val_t alignment,
// RKSt9nothrow_t nothrow.

#include "allocator/base/config.h"

#if defined(HAK_OVERRIDE_MALLOC) && !defined(HAK_SANITIZER_HAS_MALLOC)

#include "allocator/api/malloc_inline.h"
#include "allocator/os/os.h"
#include "allocator/os/text.h"
#include "hakmem/hakmem.h"

#define HAK_WEAK __attribute__((weak))

typedef void (*new_handler)(void);

// std::get_new_handler, and the parts of "throw std::bad_alloc()" that the C++ ABI names.
HAK_WEAK new_handler _ZSt15get_new_handlerv(void);
HAK_WEAK void *__cxa_allocate_exception(size_t size);
HAK_WEAK void __cxa_throw(void *exception, void *type, void (*destructor)(void *)) __attribute__((noreturn));

// A class of exceptions: its type information, virtual table and destructor.
#define EXCEPTION_CLASS(mangled)         \
  extern HAK_WEAK char _ZTI##mangled;    \
  extern HAK_WEAK void *_ZTV##mangled[]; \
  HAK_WEAK void _ZN##mangled##D1Ev(void *exception)

EXCEPTION_CLASS(St9bad_alloc);
// A static program in which nobody names bad_alloc has none, but this one comes with everything that can catch: it serves
// the nothrow forms, and whoever catches std::exception.
EXCEPTION_CLASS(St13bad_exception);

// A virtual table begins with the offset to top and the type information.
#define VIRTUAL_TABLE_PREFIX 2

static bool can_throw(void) { return __cxa_allocate_exception != NULL && __cxa_throw != NULL; }

static void throw_exception(char *type, void **virtual_table, void (*destructor)(void *)) {
  if (!can_throw() || type == NULL || virtual_table == NULL) return;
  void **exception = __cxa_allocate_exception(sizeof(void *));
  *exception = &virtual_table[VIRTUAL_TABLE_PREFIX];
  __cxa_throw(exception, type, destructor);
}

__attribute__((noreturn)) static void throw_bad_alloc(void) {
  throw_exception(&_ZTISt9bad_alloc, _ZTVSt9bad_alloc, _ZNSt9bad_allocD1Ev);
  throw_exception(&_ZTISt13bad_exception, _ZTVSt13bad_exception, _ZNSt13bad_exceptionD1Ev);
  struct text text;
  text_begin(&text, HAK_STANDARD_ERROR);
  text_string(&text, "hakmem: operator new: out of memory, and no C++ library to throw std::bad_alloc\n");
  text_end(&text);
  os_abort();
}

static void *allocate(size_t size, size_t alignment) {
  return alignment == 0 ? hak_malloc(size) : hak_aligned_alloc(alignment, size);
}

// The C++ library's own operator, where that library came after hakmem (with a plugin, say), so that the references above
// found nothing. Its malloc is this one; it knows the new handler, and throws.
static void *library_operator(const char *name) {
  return can_throw() ? NULL : os_loaded_symbol("libstdc++.so.6", name);
}

// As the standard has it: the new handler makes memory, or throws, or is NULL.
HAK_COLD static void *new_or_throw(size_t size, size_t alignment) {
  for (;;) {
    void *user = allocate(size, alignment);
    if (user != NULL) return user;
    void *library = library_operator(alignment == 0 ? "_Znwm" : "_ZnwmSt11align_val_t");
    if (library != NULL) return ((void *(*)(size_t, size_t))library)(size, alignment);
    new_handler handler = _ZSt15get_new_handlerv == NULL ? NULL : _ZSt15get_new_handlerv();
    if (handler == NULL || (alignment & (alignment - 1)) != 0) throw_bad_alloc();
    handler();
  }
}

// For the Box: which delete belongs to a block.
HAK_INLINE void *of_family(void *user, enum box_family family) {
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) box_note_family(user, family);
  return user;
}

HAK_INLINE void *new_inline(size_t size, enum box_family family) {
  if (HAK_LIKELY(size <= HAK_SMALL_MAX)) {
    size_t size_class = size_class_of(size);
    struct block *block = thread_cache_pop(size_class);
    if (HAK_LIKELY(block != NULL)) return of_family(hand_out(size_class, block, size, 0), family);
  }
  return of_family(new_or_throw(size, 0), family);
}

HAK_PUBLIC void *_Znwm(size_t size) { return new_inline(size, BOX_NEW); }
HAK_PUBLIC void *_Znam(size_t size) { return new_inline(size, BOX_NEW_ARRAY); }
HAK_PUBLIC void *_ZnwmSt11align_val_t(size_t size, size_t alignment) {
  return of_family(new_or_throw(size, alignment), BOX_NEW);
}
HAK_PUBLIC void *_ZnamSt11align_val_t(size_t size, size_t alignment) {
  return of_family(new_or_throw(size, alignment), BOX_NEW_ARRAY);
}

HAK_INLINE void delete_inline(void *pointer, size_t size, size_t alignment) {
  struct box_call call = {"operator delete", BOX_NEW, true, size, alignment};
  free_inline(pointer, &call);
}

HAK_INLINE void delete_array_inline(void *pointer, size_t size, size_t alignment) {
  struct box_call call = {"operator delete[]", BOX_NEW_ARRAY, true, size, alignment};
  free_inline(pointer, &call);
}

HAK_PUBLIC void _ZdlPv(void *pointer) { delete_inline(pointer, BOX_UNKNOWN, BOX_NO_ALIGNMENT); }
HAK_PUBLIC void _ZdaPv(void *pointer) { delete_array_inline(pointer, BOX_UNKNOWN, BOX_NO_ALIGNMENT); }
HAK_PUBLIC void _ZdlPvm(void *pointer, size_t size) { delete_inline(pointer, BOX_GIVEN(size), BOX_NO_ALIGNMENT); }
HAK_PUBLIC void _ZdaPvm(void *pointer, size_t size) { delete_array_inline(pointer, BOX_GIVEN(size), BOX_NO_ALIGNMENT); }
HAK_PUBLIC void _ZdlPvRKSt9nothrow_t(void *pointer, const void *nothrow) {
  (void)nothrow;
  delete_inline(pointer, BOX_UNKNOWN, BOX_NO_ALIGNMENT);
}
HAK_PUBLIC void _ZdaPvRKSt9nothrow_t(void *pointer, const void *nothrow) {
  (void)nothrow;
  delete_array_inline(pointer, BOX_UNKNOWN, BOX_NO_ALIGNMENT);
}
HAK_PUBLIC void _ZdlPvSt11align_val_t(void *pointer, size_t alignment) {
  delete_inline(pointer, BOX_UNKNOWN, alignment);
}
HAK_PUBLIC void _ZdaPvSt11align_val_t(void *pointer, size_t alignment) {
  delete_array_inline(pointer, BOX_UNKNOWN, alignment);
}
HAK_PUBLIC void _ZdlPvmSt11align_val_t(void *pointer, size_t size, size_t alignment) {
  delete_inline(pointer, BOX_GIVEN(size), alignment);
}
HAK_PUBLIC void _ZdaPvmSt11align_val_t(void *pointer, size_t size, size_t alignment) {
  delete_array_inline(pointer, BOX_GIVEN(size), alignment);
}
HAK_PUBLIC void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *pointer, size_t alignment, const void *nothrow) {
  (void)nothrow;
  delete_inline(pointer, BOX_UNKNOWN, alignment);
}
HAK_PUBLIC void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *pointer, size_t alignment, const void *nothrow) {
  (void)nothrow;
  delete_array_inline(pointer, BOX_UNKNOWN, alignment);
}

#endif  // HAK_OVERRIDE_MALLOC
