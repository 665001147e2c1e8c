// SPDX-License-Identifier: Apache-2.0
//
// Loads libraries at run time.
//   loading plugin LIBRARY      dlopens and closes a library that allocates in its constructor and destructor, also
//                               in threads; blocks go from the library to the program and back
//   loading deepbind LIBRARY    the same with RTLD_DEEPBIND: the library may find another malloc than the program
//                               does, but one that goes with the free it finds
//   loading dlopen HAKMEM       loads the allocator itself: static thread-local storage must suffice, in threads
//                               that ran before as well; closing it must do no harm to a thread that ends later
//   loading dlmopen HAKMEM      the same in a namespace of its own, with a C library of its own

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>

#include "check.h"

static void *load(const char *path, int flags) {
  void *library = dlopen(path, flags);
  if (!library) {
    fprintf(stderr, "dlopen: %s\n", dlerror());
    _exit(1);
  }
  return library;
}

static void *find(void *library, const char *name) {
  void *address = dlsym(library, name);
  if (!address) {
    fprintf(stderr, "dlsym: %s\n", dlerror());
    _exit(1);
  }
  return address;
}

struct request {
  const char *path;
  int flags;
};

static void *use_plugin(void *argument) {
  const struct request *request = argument;
  void *library = load(request->path, RTLD_NOW | request->flags);
  int (*plugin_work)(void) = (int (*)(void))find(library, "plugin_work");
  void *(*plugin_allocate)(size_t) = (void *(*)(size_t))find(library, "plugin_allocate");
  void (*plugin_free)(void *) = (void (*)(void *))find(library, "plugin_free");
  static int expected;
  int sum = plugin_work();
  if (!__atomic_exchange_n(&expected, sum, __ATOMIC_RELAXED)) fprintf(stderr, "sum %d\n", sum);
  CHECK(__atomic_load_n(&expected, __ATOMIC_RELAXED) == sum);
  plugin_free(plugin_allocate(300));
  void *outlives = NULL;
  if (!(request->flags & RTLD_DEEPBIND)) {
    // One malloc for all: what one side allocated the other frees, even after the library is gone.
    free_block(plugin_allocate(1234), 1234);
    plugin_free(allocate_block(20000));
    outlives = plugin_allocate(5000);
  }
  CHECK(dlclose(library) == 0);
  if (outlives) free_block(outlives, 5000);
  return NULL;
}

static void load_plugin(const char *path, int flags) {
  struct request request = {path, flags};
  for (int round = 0; round < 100; round++) use_plugin(&request);
  for (int round = 0; round < 50; round++) {
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, use_plugin, &request) == 0);
    for (int i = 0; i < 3; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  }
}

static void *(*loaded_malloc)(size_t);
static void (*loaded_free)(void *);
static sem_t loaded, used, closed;
static void *handed_over;

static void wait_for(sem_t *semaphore) {
  while (sem_wait(semaphore) != 0) CHECK(errno == EINTR);
}

static void use_loaded(void) {
  void *blocks[300];
  for (size_t i = 0; i < 300; i++) {
    blocks[i] = loaded_malloc(i * i + 1);
    CHECK(blocks[i]);
    fill_block(blocks[i], i * i + 1);
  }
  for (size_t i = 0; i < 300; i++) {
    check_block(blocks[i], i * i + 1);
    loaded_free(blocks[i]);
  }
}

// Started before the allocator is loaded, ends after it was closed.
static void *early_thread(void *unused) {
  wait_for(&loaded);
  use_loaded();
  loaded_free(handed_over);
  CHECK(sem_post(&used) == 0);
  wait_for(&closed);
  return unused;
}

static void *late_thread(void *unused) {
  use_loaded();
  return unused;
}

static void load_allocator(const char *path, int own_namespace) {
  pthread_t early, late;
  CHECK(sem_init(&loaded, 0, 0) == 0 && sem_init(&used, 0, 0) == 0 && sem_init(&closed, 0, 0) == 0);
  CHECK(pthread_create(&early, NULL, early_thread, NULL) == 0);
  void *library = own_namespace ? dlmopen(LM_ID_NEWLM, path, RTLD_NOW | RTLD_LOCAL) : load(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    fprintf(stderr, "dlmopen: %s\n", dlerror());
    _exit(1);
  }
  loaded_malloc = (void *(*)(size_t))find(library, "hak_malloc");
  loaded_free = (void (*)(void *))find(library, "hak_free");
  // The names of the C library that it exports work as well, and are the same functions.
  void *(*by_other_name)(size_t) = (void *(*)(size_t))find(library, "malloc");
  loaded_free(by_other_name(100));
  use_loaded();
  handed_over = loaded_malloc(900);
  CHECK(sem_post(&loaded) == 0);
  wait_for(&used);
  CHECK(pthread_create(&late, NULL, late_thread, NULL) == 0 && pthread_join(late, NULL) == 0);
  // The program's own malloc is what it was.
  free_block(allocate_block(700), 700);
  CHECK(dlclose(library) == 0);
  CHECK(sem_post(&closed) == 0 && pthread_join(early, NULL) == 0);
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s plugin|deepbind|dlopen|dlmopen LIBRARY\n", argv[0]);
    return 2;
  }
  if (strcmp(argv[1], "plugin") == 0)
    load_plugin(argv[2], 0);
  else if (strcmp(argv[1], "deepbind") == 0)
    load_plugin(argv[2], RTLD_DEEPBIND);
  else
    load_allocator(argv[2], strcmp(argv[1], "dlmopen") == 0);
  puts("passed");
  return 0;
}
