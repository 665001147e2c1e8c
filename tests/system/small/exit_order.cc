// SPDX-License-Identifier: Apache-2.0
//
// Allocates and frees at every point where a thread or the process ends: destructors of pthread keys made before the first
// malloc and after it, and of keys that are set again (so that they run after the allocator's own); thread_local and static
// C++ objects; atexit handlers; library destructors (early_library.c). Each such point also frees what another thread
// allocated. Then thousands of threads whose last act is to allocate: what a thread leaves behind must not add up.
//
// exit_order main|thread|quick|pthread_exit says how the process ends. The line "passed" comes from the last
// destructor.

#include <limits.h>
#include <pthread.h>

#include "check.h"

extern "C" void *early_library_block(size_t *size);

namespace {

constexpr int kThreads = 3000;
constexpr size_t kBlocks = 100;

pthread_key_t first_key, last_key;
int static_destroyed, key_destructor_calls;
void *kept[kBlocks];  // allocated by main, freed by the very last destructor

// Written without stdio, which may be gone already.
void finished() {
  static const char text[] = "passed\n";
  CHECK(write(STDOUT_FILENO, text, sizeof text - 1) == sizeof text - 1);
}

void churn() {
  void *blocks[kBlocks];
  for (size_t i = 0; i < kBlocks; i++) blocks[i] = allocate_block(i * 37 + 1);
  blocks[7] = realloc(blocks[7], 100000);
  CHECK(blocks[7]);
  for (size_t i = 0; i < kBlocks; i++)
    if (i != 7) free_block(blocks[i], i * 37 + 1);
  free(blocks[7]);
  delete[] new char[5000];
}

struct Counted {
  pthread_key_t key;
  int rounds;
};

// Runs with the key's value taken out; sets it again so that it runs in later rounds too, after all other destructors have run.
void destroy_key(void *value) {
  auto *counted = static_cast<Counted *>(value);
  churn();
  __atomic_fetch_add(&key_destructor_calls, 1, __ATOMIC_RELAXED);
  pthread_key_t key = counted->key;
  int rounds = counted->rounds - 1;
  free(counted);
  if (rounds > 0) {
    auto *again = static_cast<Counted *>(malloc(sizeof(Counted)));
    CHECK(again != nullptr);
    *again = {key, rounds};
    CHECK(pthread_setspecific(key, again) == 0);
  }
}

void set_key(pthread_key_t key) {
  auto *counted = static_cast<Counted *>(malloc(sizeof(Counted)));
  CHECK(counted != nullptr);
  *counted = {key, PTHREAD_DESTRUCTOR_ITERATIONS};
  CHECK(pthread_setspecific(key, counted) == 0);
}

// Before the first malloc of the program itself, where possible before that of any library.
__attribute__((constructor(101))) void make_first_key() { CHECK(pthread_key_create(&first_key, destroy_key) == 0); }

struct Owner {
  explicit Owner(size_t size) : size(size), block(allocate_block(size)) {}
  ~Owner() {
    free_block(block, size);
    churn();
    static_destroyed++;
  }
  size_t size;
  void *block;
};

Owner early_object __attribute__((init_priority(102))) (1000);
Owner late_object(70000);
thread_local Owner thread_object(300);

struct Handed {
  void *block;
};

// A thread that only frees, and only in a key's destructor: it never allocated before.
void free_handed(void *value) { free_block(value, 400); }

pthread_key_t handed_key;
void *only_free_at_exit(void *block) {
  CHECK(pthread_setspecific(handed_key, block) == 0);
  return nullptr;
}

void *use_everything(void *unused) {
  set_key(first_key);
  set_key(last_key);
  if (thread_object.size != 300) _exit(9);
  churn();
  return unused;
}

void exit_handler() {
  churn();
  CHECK(static_destroyed >= 0);
}

void quick_handler() {
  churn();
  finished();
}

[[noreturn]] void *exit_from_thread(void *) {
  set_key(first_key);
  churn();
  exit(0);
}

volatile bool stopping;
void *allocate_for_ever(void *) {
  while (!stopping) churn();
  return nullptr;
}

__attribute__((destructor(101))) void last_destructor() {
  for (size_t i = 0; i < kBlocks; i++) free_block(kept[i], i * 11 + 1);
  churn();
  finished();
}

void many_threads() {
  // The first ones fill caches and stacks that stay.
  size_t before = 0;
  for (int n = 0; n < kThreads; n++) {
    if (n == kThreads / 10) before = resident_bytes();
    pthread_t one, other;
    CHECK(pthread_create(&one, nullptr, use_everything, nullptr) == 0);
    CHECK(pthread_create(&other, nullptr, only_free_at_exit, allocate_block(400)) == 0);
    CHECK(pthread_join(one, nullptr) == 0 && pthread_join(other, nullptr) == 0);
  }
  size_t after = resident_bytes();
  fprintf(stderr, "after %d threads %zu KiB, before %zu KiB\n", kThreads, after >> 10, before >> 10);
  CHECK(after < before + (16u << 20));
  CHECK(key_destructor_calls == 2 * kThreads * PTHREAD_DESTRUCTOR_ITERATIONS);
}

}  // namespace

int main(int argc, char **argv) {
  CHECK(argc == 2);
  for (size_t i = 0; i < kBlocks; i++) kept[i] = allocate_block(i * 11 + 1);
  CHECK(pthread_key_create(&last_key, destroy_key) == 0 && pthread_key_create(&handed_key, free_handed) == 0);
  size_t size;
  void *block = early_library_block(&size);
  free_block(block, size);
  if (thread_object.size != 300) _exit(9);
  set_key(first_key);
  set_key(last_key);
  CHECK(atexit(exit_handler) == 0 && at_quick_exit(quick_handler) == 0);

  pthread_t thread;
  switch (argv[1][0]) {
    case 'm':  // from main, after many threads
      many_threads();
      return 0;
    case 't':  // from another thread, while a third one allocates and main waits
      CHECK(pthread_create(&thread, nullptr, allocate_for_ever, nullptr) == 0);
      CHECK(pthread_create(&thread, nullptr, exit_from_thread, nullptr) == 0);
      pthread_join(thread, nullptr);
      return 1;
    case 'q':  // quick_exit: no destructors, only its own handlers
      quick_exit(0);
    default:  // main's thread ends first; the process ends with its last thread
      CHECK(pthread_create(&thread, nullptr, use_everything, nullptr) == 0);
      pthread_exit(nullptr);
  }
}
