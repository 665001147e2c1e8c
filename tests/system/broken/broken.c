// SPDX-License-Identifier: Apache-2.0
//
// A library to preload that is broken in one way, chosen by BREAK: glibc's allocator with one fault. The tests must
// notice it; this shows that they are able to fail. One fault each, so that a test is held against the fault it is
// there for.

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define REALLOC_WITHOUT_COPY 1    // realloc returns a block without the old contents
#define SOME_CALLS_FAIL 2         // malloc returns NULL now and then
#define FREE_LEAKS 3              // free does nothing
#define NO_ERRNO 4                // malloc fails without ENOMEM
#define CRASH_WHEN_FULL 5         // malloc writes to the block without looking whether there is one
#define LOCK_AND_FORK 6           // a lock that fork copies while a thread holds it
#define DEAD_AFTER_EXIT 7         // a thread cannot allocate after its key destructor ran
#define NOT_BEFORE_MAIN 8         // cannot allocate before its own constructor ran
#define NO_LIBC_NAMES 9           // __libc_malloc and its relatives are another allocator
#define LARGE_TLS 10              // more static thread-local storage than is left when a program runs
#define MORE_MEMORY 11            // takes a third more than was asked for
#define NEW_RETURNS_NULL 12       // operator new does not throw
#define LEAKS_IN_THREADS 13       // each thread leaves 16 KiB behind
#define REALLOC_LOSES_END 14      // realloc of a larger block does not copy the old contents' last bytes
#define LOCK_IN_FORK_HANDLERS 15  // fork waits for the lock that an allocation holds

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *pointer, size_t size);
extern void __libc_free(void *pointer);

#if BREAK == REALLOC_WITHOUT_COPY
void *realloc(void *pointer, size_t size) {
  if (pointer && size >= 64) {
    void *block = __libc_calloc(1, size);
    if (block) __libc_free(pointer);
    return block;
  }
  return __libc_realloc(pointer, size);
}

#elif BREAK == REALLOC_LOSES_END
void *realloc(void *pointer, size_t size) {
  size_t old = pointer ? malloc_usable_size(pointer) : 0;
  void *block = __libc_realloc(pointer, size);
  if (block && old >= 4000 && size > old) memset((char *)block + old - 64, 0, 56);
  return block;
}

#elif BREAK == SOME_CALLS_FAIL
void *malloc(size_t size) {
  static unsigned calls;
  if (__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) % 3000 == 0) {
    errno = ENOMEM;
    return NULL;
  }
  return __libc_malloc(size);
}

#elif BREAK == FREE_LEAKS
void free(void *pointer) { (void)pointer; }

#elif BREAK == NO_ERRNO
void *malloc(size_t size) {
  int saved = errno;
  void *block = __libc_malloc(size);
  errno = saved;
  return block;
}

#elif BREAK == CRASH_WHEN_FULL
void *malloc(size_t size) {
  volatile char *block = __libc_malloc(size ? size : 1);
  *block = 0;
  return (void *)block;
}

#elif BREAK == LOCK_AND_FORK
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
void *malloc(size_t size) {
  pthread_mutex_lock(&lock);
  void *block = __libc_malloc(size);
  pthread_mutex_unlock(&lock);
  return block;
}
void free(void *pointer) {
  pthread_mutex_lock(&lock);
  __libc_free(pointer);
  pthread_mutex_unlock(&lock);
}

#elif BREAK == LOCK_IN_FORK_HANDLERS
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void take(void) { pthread_mutex_lock(&lock); }
static void give(void) { pthread_mutex_unlock(&lock); }
__attribute__((constructor)) static void register_handlers(void) { pthread_atfork(take, give, give); }
void *malloc(size_t size) {
  take();
  for (volatile int i = 0; i < 100; i++) {
  }
  void *block = __libc_malloc(size);
  give();
  return block;
}

#elif BREAK == DEAD_AFTER_EXIT || BREAK == LEAKS_IN_THREADS
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static __thread char state __attribute__((tls_model("initial-exec")));
static void thread_ends(void *unused) {
  (void)unused;
  state = 2;
}
static void make_key(void) { pthread_key_create(&key, thread_ends); }
void *malloc(size_t size) {
  if (!state) {
    state = 1;
    pthread_once(&once, make_key);
    pthread_setspecific(key, &state);
#if BREAK == LEAKS_IN_THREADS
    memset(__libc_malloc(16384), 1, 16384);
#endif
  }
#if BREAK == DEAD_AFTER_EXIT
  if (state == 2) abort();
#endif
  return __libc_malloc(size);
}

#elif BREAK == NOT_BEFORE_MAIN
static int ready;
__attribute__((constructor)) static void prepare(void) { ready = 1; }
void *malloc(size_t size) {
  // What runs before is ld.so, libc's own start and, in the program, .preinit_array; only the latter asks for 197
  // squared and 1.
  if (!ready && size == 197 * 197 + 1) return NULL;
  return __libc_malloc(size);
}

#elif BREAK == NO_LIBC_NAMES
struct header {
  uint64_t magic, unused;
};
#define MAGIC 0x68616b6d656d2121u
void *malloc(size_t size) {
  if (size > PTRDIFF_MAX - 16) return NULL;
  struct header *header = __libc_malloc(size + sizeof *header);
  if (!header) return NULL;
  header->magic = MAGIC;
  return header + 1;
}
void free(void *pointer) {
  if (!pointer) return;
  struct header *header = (struct header *)pointer - 1;
  if (header->magic != MAGIC) abort();
  header->magic = 0;
  __libc_free(header);
}
void *calloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
  void *block = malloc(bytes);
  return block ? memset(block, 0, bytes) : NULL;
}
void *realloc(void *pointer, size_t size) {
  if (!pointer) return malloc(size);
  struct header *header = (struct header *)pointer - 1;
  if (header->magic != MAGIC) abort();
  header = __libc_realloc(header, size + sizeof *header);
  return header ? header + 1 : NULL;
}

#elif BREAK == LARGE_TLS
static __thread volatile char bins[8192] __attribute__((tls_model("initial-exec")));
void *hak_malloc(size_t size) {
  bins[size % sizeof bins]++;
  return __libc_malloc(size);
}
void hak_free(void *pointer) { __libc_free(pointer); }

#elif BREAK == MORE_MEMORY
void *malloc(size_t size) {
  size_t more = size + size / 3;
  void *block = __libc_malloc(more);
  // Resident, not only reserved.
  return block ? memset(block, 1, more) : NULL;
}
void *realloc(void *pointer, size_t size) { return __libc_realloc(pointer, size + size / 3); }

#elif BREAK == NEW_RETURNS_NULL
void *_Znwm(size_t size) { return __libc_malloc(size); }
void *_Znam(size_t size) { return __libc_malloc(size); }

#else
#error "BREAK is none of the faults above"
#endif
