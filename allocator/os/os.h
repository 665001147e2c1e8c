// SPDX-License-Identifier: Apache-2.0
//
// The contract with the operating system. Layer: os, the only one with system headers.
//
// The memory functions are implemented by os_memory_linux.c, and once more by os_memory_fake.c, which tests link in its
// place to make calls fail. Everything else is in os_process_linux.c and os_inspect_linux.c. None of these functions
// allocates, but for os_stack_prepare; errno may change.

#ifndef ALLOCATOR_OS_OS_H_
#define ALLOCATOR_OS_OS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocator/base/compiler.h"

struct text;

HAK_BEGIN_DECLARATIONS

// Memory. Addresses and sizes are multiples of the page size.

enum os_map_result {
  OS_MAPPED,
  OS_OCCUPIED,   // something is mapped there already
  OS_NO_MEMORY,  // the system or a limit refuses
};

// Readable and writable memory full of zeroes, anywhere. NULL if it cannot be had.
HAK_INTERNAL void *os_memory_map(size_t bytes);
// The same at an address. What is mapped there already stays as it is.
HAK_INTERNAL enum os_map_result os_memory_map_at(void *address, size_t bytes);
// Gives the pages back and keeps the addresses, which read as zero from then on. False if the memory is unchanged.
HAK_INTERNAL bool os_memory_purge(void *address, size_t bytes);
// Gives pages and addresses back. False if the operating system refuses (it is out of mappings): all is as before.
HAK_INTERNAL bool os_memory_release(void *address, size_t bytes);
// Moves the contents of [from, from + bytes) to [to, to + bytes), by changing page tables where the kernel can and by
// copying where it cannot. Both are mapped and stay so; what was at to is lost, what is at from afterwards is undefined.
HAK_INTERNAL void os_memory_move(void *from, void *to, size_t bytes);
// Asks for transparent huge pages. A hint: it cannot fail.
HAK_INTERNAL void os_memory_advise_huge(void *address, size_t bytes);
// The limit on the process's address space or writable memory in bytes, SIZE_MAX where there is none.
HAK_INTERNAL size_t os_address_space_limit(void);
// Which of the pages from address on may hold anything but zeroes: sets bit i of *pages for page i (at most 64 of them).
HAK_INTERNAL uint64_t os_memory_touched(const void *address, size_t pages);
// How often the functions above have called the kernel.
HAK_INTERNAL size_t os_memory_calls(void);
// Milliseconds from a clock that never goes back; coarse and cheap.
HAK_INTERNAL uint64_t os_clock_milliseconds(void);

// The process.

// The size of a page, read from the system and never compiled in.
HAK_INTERNAL size_t os_page_size(void);
// The value of an environment variable, or NULL; also before libc is initialised. NULL in programs with raised privileges.
HAK_INTERNAL const char *os_environment(const char *name);
// Writes all bytes. 0, or the errno of the failure.
HAK_INTERNAL int os_write(int file_descriptor, const void *data, size_t bytes);
// Ends the process as abort() does.
HAK_INTERNAL void os_abort(void) __attribute__((noreturn));
HAK_INTERNAL int os_error_get(void);
HAK_INTERNAL void os_error_set(int error);
HAK_INTERNAL void os_error_set_no_memory(void);
HAK_INTERNAL void os_error_set_invalid(void);

// A symbol of a shared library that the program has loaded; NULL if it has not, or in a static program.
HAK_INTERNAL void *os_loaded_symbol(const char *library, const char *symbol);
// The kernel's id of the calling thread.
HAK_INTERNAL uint32_t os_thread_id(void);
// Return addresses of the calling thread, innermost first, from inner on; from the innermost of all where inner is not among
// them. How many; 0 where the C library cannot tell. os_stack_prepare comes before, once, and may allocate.
HAK_INTERNAL void os_stack_prepare(void);
HAK_INTERNAL size_t os_stack_capture(const void **frames, size_t most, const void *inner);
// Appends the module, the offset in it and the function of an address of code, as far as they are known.
HAK_INTERNAL void os_describe_address(struct text *text, const void *address);
// Sleeps while *word is expected; wakes one sleeper.
HAK_INTERNAL void os_wait(const uint32_t *word, uint32_t expected);
HAK_INTERNAL void os_wake(uint32_t *word);

// Calls at_exit(value) when a thread ends that armed the hook with a value, after its thread-local destructors.
// False if the process is out of thread keys: threads must not keep anything then.
HAK_INTERNAL bool os_thread_hook_create(void (*at_exit)(void *value));
HAK_INTERNAL bool os_thread_hook_arm(void *value);
// Registers three handlers as pthread_atfork does, once per process; they are called where a process with several threads
// forks. False if it cannot.
HAK_INTERNAL bool os_fork_hooks(void (*prepare)(void), void (*parent)(void), void (*child)(void));

HAK_END_DECLARATIONS

#endif  // ALLOCATOR_OS_OS_H_
