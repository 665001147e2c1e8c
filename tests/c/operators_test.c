// SPDX-License-Identifier: Apache-2.0
//
// operator new in a C program without a C++ library, out of memory: there is nobody to throw, so it says so and aborts. Once
// that library is loaded, with a plugin perhaps, it throws. Test of api/cxx_operators.

#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                \
    }                                                                         \
  } while (0)

// operator new(size_t), and with an alignment; operator delete of each.
void *_Znwm(size_t size);
void *_ZnwmSt11align_val_t(size_t size, size_t alignment);
void _ZdlPv(void *pointer);
void _ZdlPvSt11align_val_t(void *pointer, size_t alignment);

static volatile size_t too_large = PTRDIFF_MAX;

static void new_too_large(void) { _ZdlPv(_Znwm(too_large)); }
static void aligned_new_too_large(void) { _ZdlPvSt11align_val_t(_ZnwmSt11align_val_t(too_large, 64), 64); }

static void load_and_new(void) {
  CHECK(dlopen("libstdc++.so.6", RTLD_NOW | RTLD_LOCAL) != NULL);
  new_too_large();
}

static void load_and_aligned_new(void) {
  CHECK(dlopen("libstdc++.so.6", RTLD_NOW | RTLD_LOCAL) != NULL);
  aligned_new_too_large();
}

// The child aborts in body, and what it wrote to stderr has this in it.
static void expect_abort(void (*body)(void), const char *message) {
  int errors[2], status;
  char text[2000];
  size_t length = 0;
  CHECK(pipe(errors) == 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    prctl(PR_SET_DUMPABLE, 0);
    dup2(errors[1], STDERR_FILENO);
    close(errors[0]);
    close(errors[1]);
    alarm(60);
    body();
    _exit(3);
  }
  close(errors[1]);
  for (ssize_t n; (n = read(errors[0], text + length, sizeof text - 1 - length)) > 0;) length += (size_t)n;
  close(errors[0]);
  text[length] = '\0';
  CHECK(waitpid(child, &status, 0) == child);
  fprintf(stderr, "child: %s", text);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  CHECK(strstr(text, message) != NULL);
}

int main(void) {
  _ZdlPv(_Znwm(100));
  _ZdlPvSt11align_val_t(_ZnwmSt11align_val_t(100, 64), 64);
  expect_abort(new_too_large, "hakmem: operator new: out of memory, and no C++ library to throw std::bad_alloc");
  expect_abort(aligned_new_too_large, "hakmem: operator new: out of memory");
  expect_abort(load_and_new, "bad_alloc");
  expect_abort(load_and_aligned_new, "terminate called");
  return 0;
}
