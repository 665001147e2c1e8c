// SPDX-License-Identifier: Apache-2.0
//
// What the small test programs share: CHECK, a fixed random sequence, blocks that show whether they were damaged,
// and the size of the resident set. Nothing here allocates, so that each program decides when its process first does.

#ifndef TESTS_SYSTEM_SMALL_CHECK_H_
#define TESTS_SYSTEM_SMALL_CHECK_H_

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Writes without stdio: some programs fail before or after stdio works.
static inline void say(const char *text) {
  ssize_t written = write(STDERR_FILENO, text, strlen(text));
  (void)written;
}

#define CHECK_STRING_OF(x) #x
#define CHECK_STRING(x) CHECK_STRING_OF(x)
#define CHECK(condition)                                                     \
  do {                                                                       \
    if (!(condition)) {                                                      \
      say(__FILE__ ":" CHECK_STRING(__LINE__) ": failed: " #condition "\n"); \
      _exit(1);                                                              \
    }                                                                        \
  } while (0)

static inline uint32_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*state >> 33);
}

// A block's first and last bytes tell its size; the pointer must be aligned. The compiler must not see that nothing
// else uses it.
static inline void *fill_block(void *pointer, size_t size) {
  CHECK(((uintptr_t)pointer & 15) == 0);
  volatile unsigned char *bytes = (volatile unsigned char *)pointer;
  if (size > 0) {
    bytes[0] = (unsigned char)size;
    bytes[size / 2] = (unsigned char)(size >> 8);
    bytes[size - 1] = (unsigned char)(size * 7);
  }
  return pointer;
}

static inline void check_block(const void *pointer, size_t size) {
  const volatile unsigned char *bytes = (const volatile unsigned char *)pointer;
  if (size < 3) return;
  CHECK(bytes[0] == (unsigned char)size);
  CHECK(bytes[size / 2] == (unsigned char)(size >> 8));
  CHECK(bytes[size - 1] == (unsigned char)(size * 7));
}

static inline void *allocate_block(size_t size) {
  void *pointer = malloc(size);
  CHECK(pointer != NULL);
  return fill_block(pointer, size);
}

static inline void free_block(void *pointer, size_t size) {
  check_block(pointer, size);
  free(pointer);
}

// Resident set in bytes, read without allocating.
static inline size_t resident_bytes(void) {
  char text[128];
  int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  CHECK(file >= 0);
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  CHECK(length > 0);
  text[length] = 0;
  const char *resident = strchr(text, ' ');
  CHECK(resident != NULL);
  return strtoul(resident, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

#endif  // TESTS_SYSTEM_SMALL_CHECK_H_
