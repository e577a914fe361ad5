// Norm, gated activation and the transformation of heads, over the sixteen-lane vectors of the
// including file's instruction set. Internal linkage.
#pragma once

#include <cmath>
#include <cstdint>

#include "ops.h"

namespace pagoda {
namespace {

// e^x within 2 units in the last place between -87.3 and 88.3; zero below, e^88.3 above; NaN stays NaN.
// x = n ln 2 + r with |r| <= ln 2 / 2, ln 2 split in two so that r is exact to float; e^r by a minimax
// polynomial of degree 6 (relative error 2e-9).
inline Vec exponential(Vec x) {
  const Vec least = fill(-87.3f);
  const Vec bounded = smallest(fill(88.3f), largest(least, x));
  const Vec shift = fill(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
  const Vec n = multiply_add(bounded, fill(1.44269504f), shift) - shift;
  Vec r = multiply_add(n, fill(-0x1.62e4p-1f), bounded);
  r = multiply_add(n, fill(-0x1.7f7d1cp-20f), r);
  Vec p = fill(0x1.6ab96ep-10f);
  p = multiply_add(p, r, fill(0x1.126d1ep-7f));
  p = multiply_add(p, r, fill(0x1.55589ap-5f));
  p = multiply_add(p, r, fill(0x1.55540ap-3f));
  p = multiply_add(p, r, fill(0x1.fffffap-2f));
  p = multiply_add(p, r, fill(1.0f));
  p = multiply_add(p, r, fill(1.0f));
  return zero_below(times_power_of_two(p, n), x, least);
}

inline void exponential_values(const float* x, int64_t n, float* out) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t count = n - i < kLanes ? n - i : kLanes;
    store(out + i, exponential(load(x + i, count)), count);
  }
}

// 1 / sqrt(mean(x^2) + eps), summed in sixteen lanes of two accumulators each.
inline float inverse_rms(const float* x, float eps, int64_t n) {
  Vec even = fill(0.0f), odd = fill(0.0f);
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    const Vec a = load(x + i), b = load(x + i + kLanes);
    even = multiply_add(a, a, even);
    odd = multiply_add(b, b, odd);
  }
  for (; i < n; i += kLanes) {
    const Vec a = load(x + i, n - i < kLanes ? n - i : kLanes);
    even = multiply_add(a, a, even);
  }
  return 1.0f / std::sqrt(sum_of(even + odd) / static_cast<float>(n) + eps);
}

inline void rms_norm(const float* x, const float* weight, float eps, int64_t n, float* out) {
  const Vec scale = fill(inverse_rms(x, eps, n));
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, load(x + i) * scale * load(weight + i));
  if (i < n) store(out + i, load(x + i, n - i) * scale * load(weight + i, n - i), n - i);
}

inline void silu_multiply(float* gate, const float* up, int64_t n) {
  const Vec one = fill(1.0f);
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t count = n - i < kLanes ? n - i : kLanes;
    const Vec g = load(gate + i, count);
    store(gate + i, g / (one + exponential(fill(0.0f) - g)) * load(up + i, count), count);
  }
}

inline void round_values(const float* x, int64_t n, uint16_t* out) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t count = n - i < kLanes ? n - i : kLanes;
    store_bfloat(out + i, load(x + i, count), count);
  }
}

// Rotary embedding of pairs (i, i + head_dim / 2), arXiv:2104.09864.
inline void transform_head(const HeadTransform& head, const float* x, int64_t position, uint16_t* out) {
  const int64_t half = head.head_dim / 2;
  const float* cosine = head.cosine + position * half;
  const float* sine = head.sine + position * half;
  const Vec scale = fill(head.norm ? inverse_rms(x, head.norm_eps, head.head_dim) : 1.0f);
  for (int64_t i = 0; i < half; i += kLanes) {
    const int64_t count = half - i < kLanes ? half - i : kLanes;
    Vec a = load(x + i, count), b = load(x + half + i, count);
    if (head.norm) {
      a = a * scale * load(head.norm + i, count);
      b = b * scale * load(head.norm + half + i, count);
    }
    const Vec c = load(cosine + i, count), s = load(sine + i, count);
    store_bfloat(out + i, a * c - b * s, count);
    store_bfloat(out + half + i, multiply_add(b, c, a * s), count);
  }
}

}  // namespace
}  // namespace pagoda
