// Sixteen floats at a time in plain C++. Internal linkage; see simd_avx512.h for the meaning of each name.
#pragma once

#include <cstdint>
#include <cstring>

namespace pagoda {
namespace {

constexpr int64_t kLanes = 16;
constexpr int kScoreRows = 4, kScoreVectors = 1;   // tile of attention scores kept in registers
constexpr int kValueRows = 2, kValueVectors = 2;   // tile of weighted values

struct Vec { float v[kLanes]; };
struct Pairs { uint32_t v[kLanes]; };

template <class F>
inline Vec each(F f) {
  Vec out;
  for (int64_t i = 0; i < kLanes; ++i) out.v[i] = f(i);
  return out;
}

inline float float_of(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

inline uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

inline Vec fill(float x) { return each([&](int64_t) { return x; }); }
inline Vec load(const float* p) { return each([&](int64_t i) { return p[i]; }); }
inline Vec load(const float* p, int64_t count) { return each([&](int64_t i) { return i < count ? p[i] : 0.0f; }); }
inline void store(float* p, Vec a) { std::memcpy(p, a.v, sizeof a.v); }
inline void store(float* p, Vec a, int64_t count) { std::memcpy(p, a.v, static_cast<size_t>(count) * 4); }

inline Vec operator+(Vec a, Vec b) { return each([&](int64_t i) { return a.v[i] + b.v[i]; }); }
inline Vec operator-(Vec a, Vec b) { return each([&](int64_t i) { return a.v[i] - b.v[i]; }); }
inline Vec operator*(Vec a, Vec b) { return each([&](int64_t i) { return a.v[i] * b.v[i]; }); }
inline Vec operator/(Vec a, Vec b) { return each([&](int64_t i) { return a.v[i] / b.v[i]; }); }
inline Vec multiply_add(Vec a, Vec b, Vec c) { return each([&](int64_t i) { return a.v[i] * b.v[i] + c.v[i]; }); }
inline Vec largest(Vec a, Vec b) { return each([&](int64_t i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; }); }
inline Vec smallest(Vec a, Vec b) { return each([&](int64_t i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; }); }
inline Vec keep_first(Vec a, int64_t count, float other) {
  return each([&](int64_t i) { return i < count ? a.v[i] : other; });
}
inline Vec zero_below(Vec a, Vec x, Vec limit) {
  return each([&](int64_t i) { return x.v[i] < limit.v[i] ? 0.0f : a.v[i]; });
}
inline Vec times_power_of_two(Vec a, Vec n) {
  return each([&](int64_t i) {
    return a.v[i] * float_of(static_cast<uint32_t>(static_cast<int32_t>(n.v[i] == n.v[i] ? n.v[i] : 0.0f) + 127) << 23);
  });
}

inline float sum_of(Vec a) {
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) a.v[i] += a.v[i + half];
  }
  return a.v[0];
}

inline float largest_of(Vec a) {
  float most = a.v[0];
  for (int64_t i = 1; i < kLanes; ++i) most = a.v[i] > most ? a.v[i] : most;
  return most;
}

inline uint16_t bfloat_bits(float x) {
  const uint32_t bits = bits_of(x);
  if (x != x) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

inline void store_bfloat(uint16_t* p, Vec a, int64_t count) {
  for (int64_t i = 0; i < count; ++i) p[i] = bfloat_bits(a.v[i]);
}

inline Vec store_bfloat(uint16_t* p, Vec a) {
  store_bfloat(p, a, kLanes);
  return each([&](int64_t i) { return float_of(static_cast<uint32_t>(p[i]) << 16); });
}

inline Pairs load_pairs(const uint16_t* p) {
  Pairs out;
  std::memcpy(out.v, p, sizeof out.v);
  return out;
}

inline Pairs fill_pairs(const uint16_t* p) {
  uint32_t pair;
  std::memcpy(&pair, p, 4);
  Pairs out;
  for (int64_t i = 0; i < kLanes; ++i) out.v[i] = pair;
  return out;
}

inline Vec dot_pairs(Vec sum, Pairs a, Pairs b) {
  return each([&](int64_t i) {
    const float low = float_of(a.v[i] << 16) * float_of(b.v[i] << 16);
    return sum.v[i] + low + float_of(a.v[i] & 0xffff0000u) * float_of(b.v[i] & 0xffff0000u);
  });
}

}  // namespace
}  // namespace pagoda
