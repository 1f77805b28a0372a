#include <stdarg.h>
#include <stdio.h>

#include "run.h"

static uint8_t *kept;
static int64_t kept_bytes, room, at;
static char place[160], subject[160];
static int portable;
static dso_sha256 digest;
static int64_t digested;

int64_t compared, differing;

int is_portable(void) { return portable; }

void about(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(subject, sizeof subject, format, arguments);
  va_end(arguments);
}

const char *place_of_run(void) {
  static char text[400];
  snprintf(text, sizeof text, "%s %s", place, subject);
  return text;
}

static void complain(const char *what, const char *detail) {
  // The first ones tell enough.
  if (++differing <= 40) fprintf(stderr, "%s %s: %s%s%s\n", place, subject, what, *detail ? ": " : "", detail);
}

void expect(int holds, const char *what) {
  compared++;
  if (!holds) complain(what, "");
}

void start_results(const char *kernel, dso_isa set) {
  portable = set == DSO_ISA_PORTABLE;
  at = 0;
  subject[0] = 0;
  snprintf(place, sizeof place, "%s %s", kernel, dso_isa_name(set));
  if (portable) kept_bytes = digested = 0, dso_sha256_start(&digest);
}

void forget_results(void) {
  free(kept);
  kept = NULL;
  kept_bytes = room = 0;
}

/// Where the portable result lies, or NULL in the portable run, which leaves its own.
static const void *expected(const void *data, int64_t bytes) {
  compared++;
  if (portable) {
    if (kept_bytes + bytes > room) {
      room = 2 * (kept_bytes + bytes) + 4096;
      kept = realloc(kept, (size_t)room);
      if (!kept) exit(2);
    }
    if (bytes > 0) memcpy(kept + kept_bytes, data, (size_t)bytes);
    kept_bytes += bytes;
    return NULL;
  }
  at += bytes;
  if (at <= kept_bytes) return kept + at - bytes;
  complain("a case did not do the same in every set", "");
  exit(1);
}

void agree(const char *what, const void *found, const void *wanted, int64_t bytes) {
  const uint8_t *a = found, *b = wanted;
  char text[80];
  compared++;
  for (int64_t i = 0; i < bytes; i++) {
    if (a[i] == b[i]) continue;
    snprintf(text, sizeof text, "byte %lld is %02x, not %02x", (long long)i, a[i], b[i]);
    complain(what, text);
    return;
  }
}

void same(const char *what, const void *data, int64_t bytes) {
  if (portable && bytes > 0) dso_sha256_update(&digest, data, (size_t)bytes), digested += bytes;
  const void *wanted = expected(data, bytes);
  if (wanted) agree(what, data, wanted, bytes);
}

const char *digest_of_results(void) {
  static char text[65];
  uint8_t sum[32];
  if (digested == 0) return NULL;
  dso_sha256_finish(&digest, sum);
  for (int i = 0; i < 32; i++) snprintf(text + 2 * i, 3, "%02x", sum[i]);
  return text;
}

static int is_near(double found, double wanted, double allowance) {
  return found == wanted || (isnan(found) && isnan(wanted)) || fabs(found - wanted) <= allowance;
}

static void compare(const char *what, const float *data, int64_t count, double relative, double absolute, const double *allowances) {
  const uint8_t *wanted = expected(data, count * 4);
  for (int64_t i = 0; wanted && i < count; i++) {
    float value;
    char text[80];
    memcpy(&value, wanted + 4 * i, sizeof value);
    if (is_near(data[i], value, absolute + relative * fabs((double)value) + (allowances ? allowances[i] : 0))) continue;
    snprintf(text, sizeof text, "[%lld] is %.9g, not %.9g", (long long)i, data[i], value);
    complain(what, text);
    return;
  }
}

void close_to(const char *what, const float *data, int64_t count, double relative, double absolute) {
  compare(what, data, count, relative, absolute, NULL);
}

void within(const char *what, const float *data, const double *allowances, int64_t count) {
  compare(what, data, count, 0, 0, allowances);
}

void close_number(const char *what, double value, double relative, double absolute) {
  const void *kept_value = expected(&value, sizeof value);
  double wanted;
  char text[80];
  if (!kept_value) return;
  memcpy(&wanted, kept_value, sizeof wanted);
  if (is_near(value, wanted, absolute + relative * fabs(wanted))) return;
  snprintf(text, sizeof text, "%.17g, not %.17g", value, wanted);
  complain(what, text);
}
