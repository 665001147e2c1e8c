// SPDX-License-Identifier: Apache-2.0
//
// Prints the file that this process takes malloc from, so that a test can see that a preloaded library is in effect.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>

int main(void) {
  Dl_info information;
  void *address = dlsym(RTLD_DEFAULT, "malloc");
  if (!address || !dladdr(address, &information)) return 1;
  puts(information.dli_fname);
  return 0;
}
