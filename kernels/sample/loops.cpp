#include "loops.h"

#include <cmath>
#include <cstring>
#include <limits>

// Each pass is written once as an always-inlined body and wrapped in functions with different target attributes, so
// that the whole file needs no compiler flags beyond the baseline's.
#if defined(__x86_64__) && defined(__GNUC__)
#define PAGODA_X86 1
#define PAGODA_AVX2 __attribute__((target("avx2")))
#ifdef __clang__
#define PAGODA_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#else
#define PAGODA_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")))
#endif
#endif
#define PAGODA_BODY static inline __attribute__((always_inline))

namespace pagoda::loops {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

Level detect() {
#ifdef PAGODA_X86
  __builtin_cpu_init();  // looks at what the operating system saves, too
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return Level::avx512;
  if (__builtin_cpu_supports("avx2")) return Level::avx2;
#endif
  return Level::baseline;
}

// exp(v) for v <= 0: v = n ln 2 + r with |r| <= ln 2 / 2, a polynomial for exp(r) and n put into the exponent.
PAGODA_BODY double exp_nonpositive(double v) {
  constexpr double kShift = 0x1.8p52;  // adding it rounds to an integer, which lands in the low bits
  constexpr double kLn2High = 0x1.62e42fefa0000p-1, kLn2Low = 0x1.cf79abc9e3b3ap-40;
  const double x = v > -690.0 ? v : -690.0;
  const double shifted = x * 0x1.71547652b82fep+0 + kShift;
  const double n = shifted - kShift;
  const double r = (x - n * kLn2High) - n * kLn2Low;
  double p = 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  uint64_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  const uint64_t exponent = (bits + 1023u) << 52;
  double power;
  std::memcpy(&power, &exponent, sizeof power);
  return v > -690.0 ? p * power : 0.0;
}

// The same in float32 for v <= 0.
PAGODA_BODY float exp_nonpositive(float v) {
  constexpr float kShift = 0x1.8p23f;
  const float x = v > -87.0f ? v : -87.0f;
  const float shifted = x * 0x1.715476p+0f + kShift;
  const float n = shifted - kShift;
  const float r = (x - n * 0x1.62ep-1f) - n * 0x1.0bfbe8p-15f;  // the first part of ln 2 has zeros at its end
  float p = 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  uint32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  const uint32_t exponent = (bits + 127u) << 23;
  float power;
  std::memcpy(&power, &exponent, sizeof power);
  return v > -87.0f ? p * power : 0.0f;
}

// The sum of a block in float64, in a fixed tree.
template <typename Value>
PAGODA_BODY double block_sum(const Value* w) {
  double s[kLanes / 2];
  for (int j = 0; j < kLanes / 2; ++j)
    s[j] = static_cast<double>(w[j]) + static_cast<double>(w[j + kLanes / 2]);
  for (int width = kLanes / 4; width > 0; width /= 2)
    for (int j = 0; j < width; ++j) s[j] += s[j + width];
  return s[0];
}

// Copies a row's last, short block and fills it up with -inf.
PAGODA_BODY void fill_tail(const float* from, int64_t n, float* tail) {
  for (int64_t j = 0; j < kLanes; ++j) tail[j] = j < n ? from[j] : kLowest;
}

PAGODA_BODY float row_maximum_body(const float* x, int64_t n, bool* bad) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  float top[kLanes];
  uint32_t flags[kLanes] = {};
  for (int j = 0; j < kLanes; ++j) top[j] = kLowest;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) {
      top[j] = x[i + j] > top[j] ? x[i + j] : top[j];
      flags[j] |= !(x[i + j] <= kLargest);
    }
  for (; i < n; ++i) {
    top[0] = x[i] > top[0] ? x[i] : top[0];
    flags[0] |= !(x[i] <= kLargest);
  }
  for (int j = 1; j < kLanes; ++j) {
    top[0] = top[j] > top[0] ? top[j] : top[0];
    flags[0] |= flags[j];
  }
  *bad = flags[0] != 0;
  return top[0];
}

PAGODA_BODY int64_t index_of_body(const float* x, int64_t n, float value) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    uint32_t found = 0;
    for (int j = 0; j < kLanes; ++j) found |= x[i + j] == value;
    if (found) break;
  }
  while (i < n && x[i] != value) ++i;
  return i;
}

PAGODA_BODY float max_of_block(const float* x) {
  float top[16];
  for (int j = 0; j < 16; ++j) top[j] = x[j];
  for (int i = 16; i < kLanes; i += 16)
    for (int j = 0; j < 16; ++j) top[j] = x[i + j] > top[j] ? x[i + j] : top[j];
  for (int width = 8; width > 0; width /= 2)
    for (int j = 0; j < width; ++j) top[j] = top[j + width] > top[j] ? top[j + width] : top[j];
  return top[0];
}

PAGODA_BODY void block_maxima_body(const float* x, int64_t n, float* block_max) {
  int64_t i = 0, b = 0;
  for (; i + kLanes <= n; i += kLanes) block_max[b++] = max_of_block(x + i);
  if (i < n) {
    float tail[kLanes];
    fill_tail(x + i, n - i, tail);
    block_max[b] = max_of_block(tail);
  }
}

PAGODA_BODY double exp_weights_body(const float* x, int64_t n, float top, float inverse_temperature, float* w,
                                    double* sums) {
  double total = 0;
  int64_t i = 0, b = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) w[i + j] = exp_nonpositive((x[i + j] - top) * inverse_temperature);
    total += sums[b++] = block_sum(w + i);
  }
  if (i < n) {
    float tail[kLanes];
    fill_tail(x + i, n - i, tail);
    for (int64_t j = 0; j < kLanes; ++j) tail[j] = exp_nonpositive((tail[j] - top) * inverse_temperature);
    for (int64_t j = 0; i + j < n; ++j) w[i + j] = tail[j];
    total += sums[b] = block_sum(tail);
  }
  return total;
}

PAGODA_BODY double exp_sum_body(const float* x, int64_t n, float top) {
  double total = 0, w[kLanes];
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) w[j] = exp_nonpositive(static_cast<double>(x[i + j]) - top);
    total += block_sum(w);
  }
  if (i < n) {
    float tail[kLanes];
    fill_tail(x + i, n - i, tail);
    for (int64_t j = 0; j < kLanes; ++j) w[j] = exp_nonpositive(static_cast<double>(tail[j]) - top);
    total += block_sum(w);
  }
  return total;
}

PAGODA_BODY void assign_buckets_body(const float* x, int64_t n, float top, float scale, int32_t last_bucket,
                                     uint16_t* bucket) {
  const float limit = static_cast<float>(last_bucket);
  for (int64_t i = 0; i < n; ++i) {
    const float place = (top - x[i]) * scale;
    bucket[i] = static_cast<uint16_t>(static_cast<int32_t>(place < limit ? place : limit));
  }
}

PAGODA_BODY int64_t find_reaching_body(const float* x, int64_t n, float value, int32_t* index) {
  int64_t count = 0, i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    uint32_t found = 0;
    for (int j = 0; j < kLanes; ++j) found |= x[i + j] >= value;
    if (!found) continue;
    for (int j = 0; j < kLanes; ++j) {  // no branch, since none could be foreseen
      index[count] = static_cast<int32_t>(i + j);
      count += x[i + j] >= value;
    }
  }
  for (; i < n; ++i) {
    index[count] = static_cast<int32_t>(i);
    count += x[i] >= value;
  }
  return count;
}

PAGODA_BODY int64_t count_ahead_body(const float* x, int64_t n, float value, int64_t before) {
  int64_t count = 0;
  // A tie counts as above in the first part of the row only.
  const int64_t split = before < n ? before : n;
  for (int64_t from = 0; from < n; from += 1 << 20) {
    const int64_t to = from + (1 << 20) < n ? from + (1 << 20) : n;
    const int64_t middle = split < from ? from : (split < to ? split : to);
    int32_t part = 0;
    for (int64_t i = from; i < middle; ++i) part += x[i] >= value;
    for (int64_t i = middle; i < to; ++i) part += x[i] > value;
    count += part;
  }
  return count;
}

PAGODA_BODY double keep_ahead_body(const float* x, int64_t n, float value, int64_t last, float* w, double* sums) {
  double total = 0;
  int64_t b = 0;
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t size = n - i < kLanes ? n - i : kLanes;
    if (size == kLanes && i + kLanes - 1 <= last) {
      for (int64_t j = 0; j < kLanes; ++j) w[i + j] = x[i + j] >= value ? w[i + j] : 0.0f;
    } else if (size == kLanes && i > last) {
      for (int64_t j = 0; j < kLanes; ++j) w[i + j] = x[i + j] > value ? w[i + j] : 0.0f;
    } else {
      for (int64_t j = 0; j < size; ++j)
        if (!(x[i + j] > value || (x[i + j] == value && i + j <= last))) w[i + j] = 0.0f;
    }
    if (size == kLanes) {
      total += sums[b++] = block_sum(w + i);
    } else {
      float padded[kLanes] = {};
      for (int64_t j = 0; j < size; ++j) padded[j] = w[i + j];
      total += sums[b++] = block_sum(padded);
    }
  }
  return total;
}

}  // namespace

Level best_level() {
  static const Level found = detect();
  return found;
}

// Defines `name` as a choice between the compiled forms of name_body.
#define PAGODA_UNWRAP(...) __VA_ARGS__
#ifdef PAGODA_X86
#define PAGODA_PASS(result, name, parameters, arguments)                                                  \
  PAGODA_AVX512 static result name##_avx512(PAGODA_UNWRAP parameters) { return name##_body arguments; }   \
  PAGODA_AVX2 static result name##_avx2(PAGODA_UNWRAP parameters) { return name##_body arguments; }       \
  result name(PAGODA_UNWRAP parameters, Level level) {                                                    \
    if (level == Level::avx512) return name##_avx512 arguments;                                           \
    if (level == Level::avx2) return name##_avx2 arguments;                                               \
    return name##_body arguments;                                                                         \
  }
#else
#define PAGODA_PASS(result, name, parameters, arguments) \
  result name(PAGODA_UNWRAP parameters, Level) { return name##_body arguments; }
#endif

PAGODA_PASS(float, row_maximum, (const float* x, int64_t n, bool* bad), (x, n, bad))
PAGODA_PASS(int64_t, index_of, (const float* x, int64_t n, float value), (x, n, value))
PAGODA_PASS(void, block_maxima, (const float* x, int64_t n, float* block_max), (x, n, block_max))
PAGODA_PASS(double, exp_weights,
            (const float* x, int64_t n, float top, float inverse_temperature, float* w, double* sums),
            (x, n, top, inverse_temperature, w, sums))
PAGODA_PASS(void, assign_buckets,
            (const float* x, int64_t n, float top, float scale, int32_t last_bucket, uint16_t* bucket),
            (x, n, top, scale, last_bucket, bucket))
PAGODA_PASS(double, exp_sum, (const float* x, int64_t n, float top), (x, n, top))
PAGODA_PASS(int64_t, find_reaching, (const float* x, int64_t n, float value, int32_t* index), (x, n, value, index))
PAGODA_PASS(int64_t, count_ahead, (const float* x, int64_t n, float value, int64_t before), (x, n, value, before))
PAGODA_PASS(double, keep_ahead,
            (const float* x, int64_t n, float value, int64_t last, float* w, double* sums),
            (x, n, value, last, w, sums))

}  // namespace pagoda::loops
