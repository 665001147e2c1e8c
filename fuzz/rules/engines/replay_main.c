// SPDX-License-Identifier: Apache-2.0
//
// The main function of the replay engine: runs LLVMFuzzerTestOneInput once for every file of the arguments, and for every
// file below a directory, in the order of their names; where there is none, once for an empty input. Whatever ends the process
// on the way (a signal, a sanitizer, exit), the file that was being run is named. Calls the C library alone, and the
// sanitizers' death callback where one is linked.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argument_count, char ***arguments);
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

// What a custom mutator calls, so that a target that has one can be linked. Nothing is mutated here.
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) {
  (void)data;
  (void)max_size;
  return size;
}

// Called through a variable, so that link-time optimisation leaves it a function of its own.
static int (*volatile test_one_input)(const uint8_t *data, size_t size) = LLVMFuzzerTestOneInput;

// The file that is being run, or NULL.
static const char *volatile current_file;
static size_t replayed_count;

// For use in a signal handler.
static void write_text(const char *text) {
  while (*text) {
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    if (written < 0) return;
    text += written;
  }
}

// Says once where it ended.
static void name_current_file(const char *why) {
  const char *file = current_file;
  if (file == NULL) return;
  current_file = NULL;
  write_text("\nreplay: ");
  write_text(why);
  write_text(" while running ");
  write_text(file);
  write_text("\n");
}

// SIGTERM is how a test that takes too long is ended.
static const int SIGNALS[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, SIGTERM, SIGALRM};
#define SIGNAL_COUNT (sizeof SIGNALS / sizeof SIGNALS[0])
static struct sigaction previous_actions[SIGNAL_COUNT];

// The former handler, which may be a sanitizer's, comes next. A fault repeats itself when this returns, with its address; what
// was sent does not, and a breakpoint neither.
static void handle_signal(int number, siginfo_t *information, void *context) {
  (void)context;
  char text[] = "signal 00";
  text[7] = (char)('0' + number / 10);
  text[8] = (char)('0' + number % 10);
  name_current_file(number == SIGTERM ? "ended from outside" : text);
  for (size_t i = 0; i < SIGNAL_COUNT; i++) {
    if (SIGNALS[i] == number) sigaction(number, &previous_actions[i], NULL);
  }
  if (information->si_code <= 0 || number == SIGTRAP) raise(number);
}

static void handle_death(void) { name_current_file("a sanitizer's report"); }

static void handle_exit(void) {
  if (current_file == NULL) return;
  name_current_file("exit()");
  _exit(1);
}

static void install_handlers(void) {
  // A stack of its own, for when the stack is what ran out; a sanitizer may have set one up.
  static char stack[64 * 1024];
  stack_t alternate;
  if (sigaltstack(NULL, &alternate) == 0 && (alternate.ss_flags & SS_DISABLE)) {
    alternate = (stack_t){.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, NULL);
  }
  for (size_t i = 0; i < SIGNAL_COUNT; i++) {
    struct sigaction action = {.sa_flags = SA_ONSTACK | SA_SIGINFO};
    action.sa_sigaction = handle_signal;
    sigemptyset(&action.sa_mask);
    sigaction(SIGNALS[i], &action, &previous_actions[i]);
  }
  if (__sanitizer_set_death_callback != NULL) __sanitizer_set_death_callback(handle_death);
  atexit(handle_exit);
}

static void fail_on(const char *path) {
  fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
  exit(1);
}

// The data is copied to a block of its exact size, so that a sanitizer sees what is read behind its end.
static void run_input(const char *name, const uint8_t *data, size_t size) {
  uint8_t *copy = malloc(size ? size : 1);
  if (copy == NULL) fail_on(name);
  if (size) memcpy(copy, data, size);
  current_file = name;
  test_one_input(copy, size);
  current_file = NULL;
  free(copy);
  replayed_count++;
}

static void replay_file(const char *path, size_t expected_size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail_on(path);
  size_t capacity = expected_size + 1, size = 0;
  uint8_t *data = malloc(capacity);
  while (data != NULL) {
    size += fread(data + size, 1, capacity - size, file);
    if (size < capacity) break;
    capacity *= 2;
    uint8_t *larger = realloc(data, capacity);
    if (larger == NULL) free(data);
    data = larger;
  }
  if (data == NULL || ferror(file)) fail_on(path);
  fclose(file);
  run_input(path, data, size);
  free(data);
}

static void replay_path(const char *path) {
  struct stat status;
  if (stat(path, &status) != 0) fail_on(path);
  if (!S_ISDIR(status.st_mode)) {
    replay_file(path, (size_t)status.st_size);
    return;
  }
  struct dirent **entries;
  int count = scandir(path, &entries, NULL, alphasort);
  if (count < 0) fail_on(path);
  for (int i = 0; i < count; i++) {
    const char *name = entries[i]->d_name;
    if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
      char *child;
      if (asprintf(&child, "%s/%s", path, name) < 0) fail_on(path);
      replay_path(child);
      free(child);
    }
    free(entries[i]);
  }
  free(entries);
}

int main(int argument_count, char **arguments) {
  if (LLVMFuzzerInitialize != NULL) LLVMFuzzerInitialize(&argument_count, &arguments);
  install_handlers();
  for (int i = 1; i < argument_count; i++) replay_path(arguments[i]);
  if (replayed_count == 0) run_input("the empty input", (const uint8_t *)"", 0);
  fprintf(stderr, "replay: %zu inputs\n", replayed_count);
  return 0;
}
