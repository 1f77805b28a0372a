/// Compares every kernel that has a variant per instruction set with the portable one, in all sets of this processor.
///
/// kernel-check [--digests] [name...]: only kernels whose name contains one of these; with digests of what must be the same bits everywhere.
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

static const kernel_case *const subjects[] = {
    product_cases, code_cases, training_cases, attention_cases, selected_cases, loss_cases, row_cases, slope_cases,
    conversion_cases, packing_cases, grid_cases, learned_cases, factor_cases, feedback_cases, memory_cases, wide_cases, block_cases,
    affine_cases,
};

static int digests;

static void run_case(const kernel_case *item) {
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (int set = 0; *dso_isa_name((dso_isa)set) != 'u'; set++) {
    if (!dso_isa_force((dso_isa)set)) continue;
    uint64_t seed = 1;
    for (const char *c = item->kernel; *c; c++) seed = seed * 31 + (uint8_t)*c;
    start_numbers(seed);
    start_results(item->kernel, (dso_isa)set);
    item->run();
    give_back();
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  double seconds = (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
  if (seconds > 5) fprintf(stderr, "%s took %.0f s\n", item->kernel, seconds);
  const char *digest = digest_of_results();
  if (digests && digest) printf("%s %s\n", digest, item->kernel);
  forget_results();
}

static int is_wanted(const char *kernel, int argc, char **argv) {
  int names = 0;
  for (int i = 1; i < argc; i++) {
    if (argv[i][0] == '-') continue;
    names++;
    if (strstr(kernel, argv[i])) return 1;
  }
  return names == 0;
}

static const kernel_case *case_of(const char *kernel) {
  for (int64_t s = 0; s < COUNT(subjects); s++)
    for (const kernel_case *item = subjects[s]; item->kernel; item++)
      if (strcmp(item->kernel, kernel) == 0) return item;
  return NULL;
}

static int is_listed(const char *kernel) {
  for (int i = 0; i < dso_kernel_count(); i++)
    if (strcmp(dso_kernel_name(i), kernel) == 0) return 1;
  return 0;
}

static void stop(int signal) {
  const char *place = place_of_run();
  ssize_t written = write(2, place, strlen(place));
  written += write(2, signal == SIGILL ? ": illegal instruction\n" : ": touched memory outside of what it was given\n",
                   signal == SIGILL ? 22 : 46);
  _exit(written > 0 ? 1 : 2);
}

int main(int argc, char **argv) {
#ifdef SANITIZED
  (void)stop;
#else
  signal(SIGSEGV, stop);
  signal(SIGBUS, stop);
  signal(SIGILL, stop);
#endif
  for (int i = 1; i < argc; i++) digests |= strcmp(argv[i], "--digests") == 0;
  int missing = 0, kernels = 0;
  for (int i = 0; i < dso_kernel_count(); i++) {
    const kernel_case *item = case_of(dso_kernel_name(i));
    if (!item) {
      fprintf(stderr, "%s has no case\n", dso_kernel_name(i));
      missing++;
    } else if (is_wanted(item->kernel, argc, argv)) {
      run_case(item);
      kernels++;
    }
  }
  for (int64_t s = 0; s < COUNT(subjects); s++)
    for (const kernel_case *item = subjects[s]; item->kernel; item++) missing += is_listed(item->kernel) ? 0 : 1;
  // These have one variant; other machines must find the same bits.
  for (const kernel_case *item = plain_cases; item->kernel; item++)
    if (is_wanted(item->kernel, argc, argv)) run_case(item), kernels++;
  fprintf(stderr, "%d subjects,", kernels);
  for (int set = 0; *dso_isa_name((dso_isa)set) != 'u'; set++)
    if (dso_isa_available((dso_isa)set)) fprintf(stderr, " %s", dso_isa_name((dso_isa)set));
  fprintf(stderr, ": %lld comparisons, %lld differ%s\n", (long long)compared, (long long)differing,
          missing ? "; kernels and cases do not match" : "");
  return differing || missing || !kernels ? 1 : 0;
}
