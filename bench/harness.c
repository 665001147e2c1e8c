// SPDX-License-Identifier: Apache-2.0
//
// Arguments, clocks, memory and report of the benchmarks; see harness.h. Nothing here runs in a measured loop.

#define _GNU_SOURCE
#include "bench/harness.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

// Defined where hakmem is linked in.
extern const char *hak_build_info(void) __attribute__((weak));

static const char *bench_name = "bench";
static const char *bench_usage = "";
static bool json_wanted;

void bench_begin(const char *name, const char *usage) {
  bench_name = name;
  bench_usage = usage;
}

static void print_message(const char *format, va_list arguments) {
  fflush(stdout);
  fprintf(stderr, "%s: ", bench_name);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
}

void bench_usage_error(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_message(format, arguments);
  va_end(arguments);
  fprintf(stderr, "%s: try --help\n", bench_name);
  exit(2);
}

void bench_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_message(format, arguments);
  va_end(arguments);
  exit(1);
}

void bench_fail_out_of_memory(size_t size) { bench_fail("malloc(%zu) returned NULL", size); }

bool bench_option(const char *argument, const char *name, const char **value) {
  size_t length = strlen(name);
  if (strncmp(argument, name, length) != 0 || argument[length] != '=') return false;
  *value = argument + length + 1;
  return true;
}

uint64_t bench_number(const char *text, const char *what, uint64_t low, uint64_t high) {
  uint64_t number = 0;
  if (*text == '\0') bench_usage_error("%s is empty", what);
  for (const char *c = text; *c != '\0'; c++) {
    if (*c < '0' || *c > '9') bench_usage_error("%s: \"%s\" is not a decimal number", what, text);
    uint64_t digit = (uint64_t)(*c - '0');
    if (number > (UINT64_MAX - digit) / 10) bench_usage_error("%s: %s is too large", what, text);
    number = number * 10 + digit;
  }
  if (number < low || number > high) {
    bench_usage_error("%s: %s is not in %" PRIu64 "..%" PRIu64, what, text, low, high);
  }
  return number;
}

int bench_arguments(int argc, char **argv, bool (*handle_option)(const char *argument), const char **positional,
                    int capacity) {
  int count = 0;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0) {
      fputs(bench_usage, stdout);
      exit(0);
    }
    if (strcmp(argv[i], "--json") == 0) {
      json_wanted = true;
    } else if (argv[i][0] == '-') {
      if (!handle_option(argv[i])) bench_usage_error("unknown option \"%s\"", argv[i]);
    } else {
      if (count == capacity) bench_usage_error("one argument too many: \"%s\"", argv[i]);
      positional[count++] = argv[i];
    }
  }
  return count;
}

void *bench_memory(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) bench_fail("cannot map %zu bytes for the benchmark's own tables", bytes);
  return memory;
}

void bench_start_thread(pthread_t *thread, void *(*function)(void *), void *argument) {
  int error = pthread_create(thread, NULL, function, argument);
  if (error != 0) bench_fail("cannot create a thread: %s", strerror(error));
}

void bench_join_thread(pthread_t thread) {
  int error = pthread_join(thread, NULL);
  if (error != 0) bench_fail("cannot join a thread: %s", strerror(error));
}

void bench_pin_thread(uint64_t number) {
  // The process's set: the main thread is never pinned.
  cpu_set_t allowed;
  if (sched_getaffinity(getpid(), sizeof allowed, &allowed) != 0) bench_fail("cannot read the CPUs allowed");
  uint64_t skip = number % (uint64_t)CPU_COUNT(&allowed);
  int cpu = 0;
  while (!CPU_ISSET(cpu, &allowed) || skip-- > 0) cpu++;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  if (sched_setaffinity(0, sizeof one, &one) != 0) bench_fail("cannot pin a thread to CPU %d", cpu);
}

static double clock_seconds(clockid_t id) {
  struct timespec now;
  if (clock_gettime(id, &now) != 0) bench_fail("clock_gettime failed");
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void bench_clock_start(struct bench_clock *clock) {
  clock->wall_seconds = -clock_seconds(CLOCK_MONOTONIC);
  clock->cpu_seconds = -clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
}

void bench_clock_stop(struct bench_clock *clock) {
  clock->cpu_seconds += clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
  clock->wall_seconds += clock_seconds(CLOCK_MONOTONIC);
}

static uint64_t per_second(uint64_t operations, double seconds) {
  return (uint64_t)((double)operations / (seconds > 1e-9 ? seconds : 1e-9) + 0.5);
}

// What serves the program's malloc: the object that the dynamic linker finds it in, whatever LD_PRELOAD asked for, and
// hakmem's description of itself if that object is hakmem.
struct allocator {
  const char *object;
  const char *hakmem;
};

static struct allocator find_allocator(void) {
  struct allocator allocator = {"unknown object", NULL};
  Dl_info malloc_place, info_place;
  void *malloc_address = dlsym(RTLD_DEFAULT, "malloc");
  if (malloc_address == NULL || dladdr(malloc_address, &malloc_place) == 0) return allocator;
  allocator.object = malloc_place.dli_fname;
  const char *(*build_info)(void) = hak_build_info;
  if (build_info == NULL) *(void **)&build_info = dlsym(RTLD_DEFAULT, "hak_build_info");
  if (build_info != NULL && dladdr(*(void **)&build_info, &info_place) != 0 &&
      info_place.dli_fbase == malloc_place.dli_fbase) {
    allocator.hakmem = build_info();
  }
  return allocator;
}

#if defined(__clang__)
static const char compiler[] = __VERSION__;
#else
static const char compiler[] = "GCC " __VERSION__;
#endif

#if defined(__OPTIMIZE__)
static const char optimisation[] = "with optimisation";
#else
static const char optimisation[] = "WITHOUT optimisation: the figures say nothing";
#endif

static void print_description(const struct bench_result *result, const struct allocator *allocator) {
  const char *preload = getenv("LD_PRELOAD");
  if (!result->allocator_used) {
    fprintf(stderr, "%s: no allocator, the loop alone\n", bench_name);
  } else {
    fprintf(stderr, "%s: malloc of %s\n", bench_name, allocator->object);
    if (allocator->hakmem != NULL) fprintf(stderr, "%s: %s\n", bench_name, allocator->hakmem);
    if (preload != NULL) fprintf(stderr, "%s: LD_PRELOAD=%s\n", bench_name, preload);
  }
  fprintf(stderr, "%s:", bench_name);
  for (const struct bench_parameter *p = result->parameters; p->name != NULL; p++) {
    if (p->text != NULL) {
      fprintf(stderr, " %s=%s", p->name, p->text);
    } else {
      fprintf(stderr, " %s=%" PRIu64, p->name, p->number);
    }
  }
  fprintf(stderr, "; benchmark compiled by %s %s\n", compiler, optimisation);
  fprintf(stderr,
          "%s: %" PRIu64 " operations (%" PRIu64 " malloc, %" PRIu64 " free) in %.3f s of CPU time, %.3f s of wall\n",
          bench_name, result->operations, result->allocations, result->frees, result->time.cpu_seconds,
          result->time.wall_seconds);
}

// The largest resident set so far, in KiB. Not from getrusage: its figure starts with that of the process that called
// exec.
static uint64_t peak_rss_kib(void) {
  char status[4096];
  int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  ssize_t length = file < 0 ? -1 : read(file, status, sizeof status - 1);
  if (length < 0) bench_fail("cannot read /proc/self/status");
  close(file);
  status[length] = '\0';
  const char *line = strstr(status, "\nVmHWM:");
  return line == NULL ? 0 : strtoull(line + strlen("\nVmHWM:"), NULL, 10);
}

static void print_json_string(const char *text) {
  if (text == NULL) {
    fputs("null", stdout);
    return;
  }
  putchar('"');
  for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
    if (*c < 0x20) {
      printf("\\u%04x", *c);
    } else {
      if (*c == '"' || *c == '\\') putchar('\\');
      putchar(*c);
    }
  }
  putchar('"');
}

static void print_json(const struct bench_result *result, const struct allocator *allocator) {
  printf("{\"benchmark\": ");
  print_json_string(bench_name);
  for (const struct bench_parameter *p = result->parameters; p->name != NULL; p++) {
    printf(", \"%s\": ", p->name);
    if (p->text != NULL) {
      print_json_string(p->text);
    } else {
      printf("%" PRIu64, p->number);
    }
  }
  printf(", \"operations\": %" PRIu64 ", \"allocations\": %" PRIu64 ", \"frees\": %" PRIu64
         ", \"bytes_requested\": %" PRIu64,
         result->operations, result->allocations, result->frees, result->bytes_requested);
  printf(", \"cpu_seconds\": %.9f, \"wall_seconds\": %.9f", result->time.cpu_seconds, result->time.wall_seconds);
  printf(", \"throughput\": %" PRIu64 ", \"wall_throughput\": %" PRIu64,
         per_second(result->operations, result->time.cpu_seconds),
         per_second(result->operations, result->time.wall_seconds));
  printf(", \"peak_rss_kib\": %" PRIu64 ", \"malloc_object\": ", peak_rss_kib());
  print_json_string(result->allocator_used ? allocator->object : NULL);
  printf(", \"hakmem\": ");
  print_json_string(result->allocator_used ? allocator->hakmem : NULL);
  printf(", \"compiler\": ");
  print_json_string(compiler);
  printf("}\n");
}

void bench_report(const struct bench_result *result) {
  struct allocator allocator = find_allocator();
  print_description(result, &allocator);
  if (json_wanted) {
    print_json(result, &allocator);
  } else {
    printf("Throughput = %" PRIu64 " ops/s\n", per_second(result->operations, result->time.cpu_seconds));
  }
  if (fflush(stdout) != 0) bench_fail("cannot write to standard output");
}
