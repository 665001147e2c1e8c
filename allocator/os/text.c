// SPDX-License-Identifier: Apache-2.0
//
// A buffer that writes itself out. Layer: os. Test: tests/unit/text_test.cc.

#include "allocator/os/text.h"

#include <string.h>

#include "allocator/base/seeded_bug.h"
#include "allocator/os/os.h"

void text_begin(struct text *text, int file_descriptor) {
  text->file_descriptor = file_descriptor;
  text->error = 0;
  text->length = 0;
}

static void text_flush(struct text *text) {
  if (text->error == 0) text->error = os_write(text->file_descriptor, text->characters, text->length);
  text->length = 0;
}

void text_bytes(struct text *text, const char *bytes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (text->length == sizeof text->characters) {
      text_flush(text);
      if (HAK_SEED_BUG(7)) continue;
    }
    text->characters[text->length++] = bytes[i];
  }
}

void text_string(struct text *text, const char *string) { text_bytes(text, string, strlen(string)); }

static void text_number(struct text *text, uint64_t number, unsigned base) {
  char digits[20];
  size_t first = sizeof digits;
  do {
    digits[--first] = "0123456789abcdef"[number % base];
    number /= base;
  } while (number != 0);
  text_bytes(text, digits + first, sizeof digits - first);
}

void text_decimal(struct text *text, uint64_t number) { text_number(text, number, 10); }

void text_hexadecimal(struct text *text, uint64_t number) {
  text_string(text, "0x");
  text_number(text, number, 16);
}

int text_end(struct text *text) {
  text_flush(text);
  return text->error;
}
