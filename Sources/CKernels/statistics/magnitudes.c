#include <math.h>
#include <string.h>

#include "../dispatch/contraction.h"
#include "../include/StaticActivations.h"

// A bin is the exponent and the first 7 bits of the mantissa.
enum { FIRST_BIN = (127 - 40) << 7 };

void dso_count_magnitudes(const float *x, int64_t ldx, int64_t rows, int64_t columns, uint64_t *counts) {
  for (int64_t row = 0; row < rows; row++, x += ldx)
    for (int64_t i = 0; i < columns; i++) {
      uint32_t bits;
      memcpy(&bits, x + i, sizeof bits);
      int32_t bin = (int32_t)((bits & 0x7fffffffu) >> 16) - FIRST_BIN;
      bin = bin < 0 ? 0 : bin;
      counts[bin < DSO_MAGNITUDE_BINS ? bin : DSO_MAGNITUDE_BINS - 1]++;
    }
}

static double lower_edge(int bin) { return bin == 0 ? 0 : ldexp(1 + (bin & 127) / 128.0, (bin >> 7) - 40); }

/// The integral of the squared error over 0...x, in units of the scale: every whole step adds 1/12, and clamping goes on with the last.
static double error_integral(double x) {
  double nearest = floor(x + 0.5);
  if (nearest > 127) nearest = 127;
  double rest = x - nearest;
  return nearest / 12 + rest * rest * rest / 3;
}

double dso_clipping_error(const uint64_t *counts, double scale, double *clipped) {
  double error = 0, beyond = 0;
  for (int bin = 0; bin < DSO_MAGNITUDE_BINS; bin++) {
    if (!counts[bin]) continue;
    double low = lower_edge(bin) / scale, high = lower_edge(bin + 1) / scale;
    error += (double)counts[bin] * (error_integral(high) - error_integral(low)) / (high - low);
    double outside = (high - 127.5) / (high - low);
    beyond += (double)counts[bin] * (outside < 0 ? 0 : outside > 1 ? 1 : outside);
  }
  *clipped = beyond;
  return error * scale * scale;
}
