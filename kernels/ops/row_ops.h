// Norms, activations and the transformation of heads, over the sixteen-lane vectors of the
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

// Mean and then variance, each summed in sixteen lanes.
inline void layer_norm(const float* x, const float* weight, const float* bias, float eps, int64_t n, float* out) {
  const float count = static_cast<float>(n);
  Vec sum = fill(0.0f);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) sum = sum + load(x + i);
  if (i < n) sum = sum + load(x + i, n - i);
  const Vec mean = fill(sum_of(sum) / count);
  Vec squares = fill(0.0f);
  for (i = 0; i + kLanes <= n; i += kLanes) {
    const Vec centred = load(x + i) - mean;
    squares = multiply_add(centred, centred, squares);
  }
  if (i < n) {
    const Vec centred = keep_first(load(x + i, n - i) - mean, n - i, 0.0f);
    squares = multiply_add(centred, centred, squares);
  }
  const Vec scale = fill(1.0f / std::sqrt(sum_of(squares) / count + eps));
  for (i = 0; i + kLanes <= n; i += kLanes) {
    store(out + i, multiply_add((load(x + i) - mean) * scale, load(weight + i), load(bias + i)));
  }
  if (i < n) {
    const Vec normed = (load(x + i, n - i) - mean) * scale;
    store(out + i, multiply_add(normed, load(weight + i, n - i), load(bias + i, n - i)), n - i);
  }
}

// x * Phi(x) = max(x, 0) - |x| * Q(|x|), where Q is the normal distribution's upper tail, here
// exp(polynomial of degree 10): fitted to ln Q on 0..6 for the least largest error of |x| * Q (4e-8). Beyond
// the polynomial falls on, and Q is zero.
inline Vec gelu(Vec x) {
  const Vec size = largest(x, fill(0.0f) - x);
  Vec p = fill(-0x1.1cc7d2p-26f);
  p = multiply_add(p, size, fill(0x1.111d0cp-21f));
  p = multiply_add(p, size, fill(-0x1.c00d0p-18f));
  p = multiply_add(p, size, fill(0x1.8f193ep-15f));
  p = multiply_add(p, size, fill(-0x1.6ecbe2p-13f));
  p = multiply_add(p, size, fill(-0x1.527d7cp-15f));
  p = multiply_add(p, size, fill(0x1.3eedfap-8f));
  p = multiply_add(p, size, fill(-0x1.2a1318p-5f));
  p = multiply_add(p, size, fill(-0x1.45ef0ap-2f));
  p = multiply_add(p, size, fill(-0x1.98849p-1f));
  p = multiply_add(p, size, fill(-0x1.62e42ep-1f));
  return largest(fill(0.0f), x) - size * exponential(p);
}

// x / (1 + exp(-2 u)) with u = sqrt(2 / pi) * (x + 0.044715 x^3).
inline Vec gelu_tanh(Vec x) {
  const Vec inner = multiply_add(x * x, x * fill(0.044715f), x);
  return x / (fill(1.0f) + exponential(inner * fill(-1.59576912f)));
}

inline Vec hyperbolic_tangent(Vec x) {
  return fill(1.0f) - fill(2.0f) / (fill(1.0f) + exponential(x + x));
}

template <class F>
inline void each_value(float* x, int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(x + i, f(load(x + i)));
  if (i < n) store(x + i, f(load(x + i, n - i)), n - i);
}

inline void activate(Activation kind, float* x, int64_t n) {
  switch (kind) {
    case Activation::none: return;
    case Activation::gelu: return each_value(x, n, gelu);
    case Activation::gelu_tanh: return each_value(x, n, gelu_tanh);
    case Activation::relu: return each_value(x, n, [](Vec v) { return largest(fill(0.0f), v); });
    case Activation::tanh: return each_value(x, n, hyperbolic_tangent);
  }
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

// A head that is not rotated.
inline void round_head(const HeadTransform& head, const float* x, uint16_t* out) {
  if (!head.norm) return round_values(x, head.head_dim, out);
  const Vec scale = fill(inverse_rms(x, head.norm_eps, head.head_dim));
  for (int64_t i = 0; i < head.head_dim; i += kLanes) {  // heads are multiples of sixteen
    store_bfloat(out + i, load(x + i) * scale * load(head.norm + i));
  }
}

inline void transform_head(const HeadTransform& head, const float* x, int64_t position, uint16_t* out) {
  if (!head.cosine) return round_head(head, x, out);
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
