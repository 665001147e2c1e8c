// SPDX-License-Identifier: Apache-2.0
//
// HAKMEM_OPTIONS: parsing and printing, both from the table in base/options.def. Allocates nothing. Layer: api.
// Test: tests/unit/options_test.cc.

#include "allocator/api/options_parse.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "allocator/base/options.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/os/text.h"
#include "hakmem/hakmem.h"

struct option {
  const char *name;
  const char *meaning;
  uint32_t *value;
  uint32_t initial, least, greatest;
};

static const struct option option_table[] = {
#define HAK_OPTION(name, initial, least, greatest, meaning) {#name, meaning, &options.name, initial, least, greatest},
#include "allocator/base/options.def"
#undef HAK_OPTION
};

#define OPTION_COUNT (sizeof option_table / sizeof option_table[0])

static void warn(const char *entry, size_t length, const char *why) {
  struct text text;
  text_begin(&text, HAK_STANDARD_ERROR);
  text_string(&text, "hakmem: HAKMEM_OPTIONS: ");
  text_bytes(&text, entry, length);
  text_string(&text, why);
  text_string(&text, "\n");
  text_end(&text);
}

static const struct option *find_option(const char *name, size_t length) {
  for (size_t i = 0; i < OPTION_COUNT; i++) {
    size_t known = strlen(option_table[i].name);
    if ((known == length || (known > length && HAK_SEED_BUG(106))) && memcmp(option_table[i].name, name, length) == 0) {
      return &option_table[i];
    }
  }
  return NULL;
}

// A decimal number of length characters, at most limit. UINT64_MAX where it is none, or is greater.
static uint64_t parse_number(const char *digits, size_t length, uint64_t limit) {
  uint64_t number = 0;
  if (length == 0) return UINT64_MAX;
  for (size_t i = 0; i < length; i++) {
    if (digits[i] < '0' || digits[i] > '9') return UINT64_MAX;
    number = number * 10 + (uint64_t)(digits[i] - '0');
    if (number > limit && !HAK_SEED_BUG(105)) return UINT64_MAX;
  }
  return number;
}

static void parse_entry(const char *entry, size_t length) {
  const char *equals = memchr(entry, '=', length);
  size_t name_length = equals == NULL ? length : (size_t)(equals - entry);
  const struct option *option = find_option(entry, name_length);
  if (option == NULL) {
    warn(entry, length, ": no such option (ignored)");
    return;
  }
  if (equals == NULL) {
    warn(entry, length, ": no value (ignored)");
    return;
  }
  uint64_t number = parse_number(equals + 1, length - name_length - 1, option->greatest);
  if (number == UINT64_MAX || number < option->least) {
    warn(entry, length, ": not a number in the option's range (ignored)");
    return;
  }
  *option->value = (uint32_t)number;
}

void options_parse(const char *text) {
  while (text != NULL && *text != '\0') {
    size_t length = strcspn(text, ",");
    if (length > 0) parse_entry(text, length);
    text += length;
    if (*text == ',') text++;
  }
}

HAK_PUBLIC int hak_options_print(int file_descriptor) {
  struct text text;
  text_begin(&text, file_descriptor);
  for (size_t i = 0; i < OPTION_COUNT; i++) {
    const struct option *option = &option_table[i];
    text_string(&text, option->name);
    text_string(&text, "=");
    text_decimal(&text, *option->value);
    text_string(&text, " (default ");
    text_decimal(&text, option->initial);
    text_string(&text, ", ");
    text_decimal(&text, option->least);
    text_string(&text, " to ");
    text_decimal(&text, option->greatest);
    text_string(&text, "): ");
    text_string(&text, option->meaning);
    text_string(&text, "\n");
  }
  return text_end(&text);
}
