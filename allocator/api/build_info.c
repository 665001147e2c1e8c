// SPDX-License-Identifier: Apache-2.0
//
// What was built, as one string. The build system says what the compiler cannot know. Layer: api.

#include "allocator/base/config.h"
#include "hakmem/hakmem.h"

#define TEXT_OF_EXPANDED(value) #value
#define TEXT_OF(value) TEXT_OF_EXPANDED(value)

#if HAK_CHECKS_LEVEL == HAK_CHECKS_DIRECT
#define VARIANT "direct"
#elif HAK_CHECKS_LEVEL == HAK_CHECKS_CHECKED
#define VARIANT "checked"
#else
#define VARIANT "box"
#endif

#if defined(__clang__)
#define COMPILER "clang-" TEXT_OF(__clang_major__) "." TEXT_OF(__clang_minor__) "." TEXT_OF(__clang_patchlevel__)
#else
#define COMPILER "gcc-" TEXT_OF(__GNUC__) "." TEXT_OF(__GNUC_MINOR__) "." TEXT_OF(__GNUC_PATCHLEVEL__)
#endif

#ifndef HAK_BUILD_OPTIMISATION
#ifdef __OPTIMIZE__
#define HAK_BUILD_OPTIMISATION "on"
#else
#define HAK_BUILD_OPTIMISATION "off"
#endif
#endif

#ifndef HAK_BUILD_LTO
#define HAK_BUILD_LTO "off"
#endif

// The linker turns it into local-exec where hakmem is part of an executable.
#define TLS_MODEL "initial-exec"

HAK_PUBLIC const char *hak_build_info(void) {
  return "hakmem " TEXT_OF(HAK_VERSION_MAJOR) "." TEXT_OF(HAK_VERSION_MINOR) "." TEXT_OF(
      HAK_VERSION_PATCH) " variant=" VARIANT
                         " checks=" TEXT_OF(HAK_CHECKS_LEVEL) " compiler=" COMPILER
                                                              " optimisation=" HAK_BUILD_OPTIMISATION
                                                              " lto=" HAK_BUILD_LTO " tls=" TLS_MODEL;
}
