// SPDX-License-Identifier: Apache-2.0
//
// Everything but memory that hakmem asks of Linux and libc. Layer: os. Test: tests/unit/os_process_test.cc.

#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "allocator/os/os.h"

extern char **environ;

size_t os_page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

const char *os_environment(const char *name) {
  if (environ == NULL || getauxval(AT_SECURE) != 0) return NULL;
  size_t length = strlen(name);
  for (char **entry = environ; *entry != NULL; entry++) {
    if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=') return *entry + length + 1;
  }
  return NULL;
}

int os_write(int file_descriptor, const void *data, size_t bytes) {
  const char *next = data;
  while (bytes > 0) {
    ssize_t written = write(file_descriptor, next, bytes);
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    if (written == 0) return EIO;
    next += written;
    bytes -= (size_t)written;
  }
  return 0;
}

void os_abort(void) { abort(); }

int os_error_get(void) { return errno; }
void os_error_set(int error) { errno = error; }
void os_error_set_no_memory(void) { errno = ENOMEM; }
void os_error_set_invalid(void) { errno = EINVAL; }

#ifdef HAK_YIELD_POINTS
void os_wait(const uint32_t *word, uint32_t expected) {
  yield_wait(word, expected);
  // As the system call may leave it.
  errno = EAGAIN;
}
void os_wake(uint32_t *word) { yield_wake(word); }
#else
void os_wait(const uint32_t *word, uint32_t expected) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

void os_wake(uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0); }
#endif

// Weak, because a static program has none. Linkers warn of dlopen in static programs, so it is looked up too.
__attribute__((weak)) void *dlsym(void *handle, const char *symbol);

// What is loaded already is not loaded again.
void *os_loaded_symbol(const char *library, const char *symbol) {
  if (dlsym == NULL) return NULL;
  void *(*open_library)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_DEFAULT, "dlopen");
  if (open_library == NULL) return NULL;
  void *handle = open_library(library, RTLD_LAZY | RTLD_NOLOAD);
  return handle == NULL ? NULL : dlsym(handle, symbol);
}

static pthread_key_t thread_key;
static bool thread_key_exists;

bool os_thread_hook_create(void (*at_exit)(void *value)) {
  thread_key_exists = pthread_key_create(&thread_key, at_exit) == 0;
  return thread_key_exists;
}

bool os_thread_hook_arm(void *value) { return thread_key_exists && pthread_setspecific(thread_key, value) == 0; }

// fork locks stdio's list of files after the handlers have run. A thread that holds this lock may be waiting for one that
// allocates; so the handlers take it before they stop allocation.
__attribute__((weak)) void _IO_list_lock(void);
__attribute__((weak)) void _IO_list_unlock(void);
__attribute__((weak)) void _IO_list_resetlock(void);
// Not zero while the process has one thread. Then a signal handler may fork while that thread holds any lock: nobody else
// can be in its way, and it goes on in both processes.
extern char __libc_single_threaded __attribute__((weak));

static void (*fork_prepare_hook)(void);
static void (*fork_parent_hook)(void);
static void (*fork_child_hook)(void);
static HAK_THREAD_LOCAL bool fork_alone;

static void before_fork(void) {
  fork_alone = &__libc_single_threaded != NULL && __libc_single_threaded != 0;
  if (fork_alone) return;
  if (_IO_list_lock != NULL) _IO_list_lock();
  fork_prepare_hook();
}

static void after_fork_in_parent(void) {
  if (fork_alone) return;
  fork_parent_hook();
  if (_IO_list_unlock != NULL) _IO_list_unlock();
}

static void after_fork_in_child(void) {
  if (fork_alone) return;
  fork_child_hook();
  if (_IO_list_resetlock != NULL) _IO_list_resetlock();
}

bool os_fork_hooks(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
  fork_prepare_hook = prepare;
  fork_parent_hook = parent;
  fork_child_hook = child;
  return pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
}
