// SPDX-License-Identifier: Apache-2.0
//
// What the Box asks about the process: who called, and what an address of code is.
// Layer: os. Test: tests/death.

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "allocator/os/os.h"
#include "allocator/os/text.h"

uint32_t os_thread_id(void) { return (uint32_t)syscall(SYS_gettid); }

// Weak, so that a static program that does not use them anyway is not made to.
__attribute__((weak)) int backtrace(void **frames, int most);
__attribute__((weak)) int dladdr(const void *address, Dl_info *info);

#define FRAMES_MAX 64

// The first call loads what unwinds stacks.
void os_stack_prepare(void) {
  void *frame[1];
  if (backtrace != NULL) (void)backtrace(frame, 1);
}

size_t os_stack_capture(const void **frames, size_t most, const void *inner) {
  void *all[FRAMES_MAX];
  if (backtrace == NULL) return 0;
  // How many frames are the allocator's own depends on what the compiler inlined and which calls are jumps.
  const size_t own = 8;
  size_t wanted = most + own < FRAMES_MAX ? most + own : FRAMES_MAX, begin = 0;
  size_t found = (size_t)backtrace(all, (int)wanted);
  while (begin < found && begin < own && all[begin] != inner) begin++;
  if (begin == found || all[begin] != inner) begin = 0;
  size_t count = found - begin < most ? found - begin : most;
  memcpy(frames, all + begin, count * sizeof *frames);
  return count;
}

void os_describe_address(struct text *text, const void *address) {
  Dl_info info;
  // A return address may be behind the function's last byte.
  const char *code = (const char *)address - 1;
  if (dladdr == NULL || dladdr(code, &info) == 0) return;
  if (info.dli_fname != NULL) {
    const char *name = strrchr(info.dli_fname, '/');
    text_string(text, name == NULL ? info.dli_fname : name + 1);
    text_string(text, "+");
    text_hexadecimal(text, (uint64_t)((const char *)address - (const char *)info.dli_fbase));
  }
  if (info.dli_sname != NULL) {
    text_string(text, " ");
    text_string(text, info.dli_sname);
  }
}
