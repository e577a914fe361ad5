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

inline Vec silu(Vec x) { return x / (fill(1.0f) + exponential(fill(0.0f) - x)); }

inline void silu_multiply(float* gate, const float* up, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(gate + i, silu(load(gate + i)) * load(up + i));
  if (i < n) store(gate + i, silu(load(gate + i, n - i)) * load(up + i, n - i), n - i);
}

inline void round_values(const float* x, int64_t n, uint16_t* out) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store_bfloat(out + i, load(x + i));
  if (i < n) store_bfloat(out + i, load(x + i, n - i), n - i);
}

struct Rotated {
  Vec first, second;
};

// Rotary embedding of pairs (i, i + head_dim / 2), arXiv:2104.09864.
inline Rotated rotate(Vec a, Vec b, Vec cosine, Vec sine) {
  return {a * cosine - b * sine, multiply_add(b, cosine, a * sine)};
}

inline void transform_head(const HeadTransform& head, const float* x, int64_t position, uint16_t* out) {
  const int64_t half = head.head_dim / 2;
  const float* cosine = head.cosine + position * half;
  const float* sine = head.sine + position * half;
  const float* weight = head.norm;
  const Vec scale = fill(weight ? inverse_rms(x, head.norm_eps, head.head_dim) : 1.0f);
  int64_t i = 0;
  for (; i + kLanes <= half; i += kLanes) {
    Vec a = load(x + i), b = load(x + half + i);
    if (weight) {
      a = a * scale * load(weight + i);
      b = b * scale * load(weight + half + i);
    }
    const Rotated pair = rotate(a, b, load(cosine + i), load(sine + i));
    store_bfloat(out + i, pair.first);
    store_bfloat(out + half + i, pair.second);
  }
  if (i < half) {
    const int64_t count = half - i;
    Vec a = load(x + i, count), b = load(x + half + i, count);
    if (weight) {
      a = a * scale * load(weight + i, count);
      b = b * scale * load(weight + half + i, count);
    }
    const Rotated pair = rotate(a, b, load(cosine + i, count), load(sine + i, count));
    store_bfloat(out + i, pair.first, count);
    store_bfloat(out + half + i, pair.second, count);
  }
}

}  // namespace
}  // namespace pagoda
