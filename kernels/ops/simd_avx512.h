// Sixteen floats at a time in one AVX512 register, bfloat16 pairs multiplied by VDPBF16PS. Internal
// linkage: only for files compiled with the flags of this instruction set. The operations in row_ops.h
// and attention.h are written over these names, so that each exists once for every instruction set.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace pagoda {
namespace {

constexpr int64_t kLanes = 16;
// Tiles of attention that stay in registers: rows x vectors of scores, rows x vectors of values.
constexpr int kScoreRows = 12, kScoreVectors = 2;
constexpr int kValueRows = 6, kValueVectors = 4;

struct Vec { __m512 v; };
struct Pairs { __m512i v; };  // two bfloat16 a lane

inline __mmask16 lanes_below(int64_t count) {
  return count >= kLanes ? __mmask16(0xffff) : __mmask16(0xffffu >> (kLanes - (count < 0 ? 0 : count)));
}

inline Vec fill(float x) { return {_mm512_set1_ps(x)}; }
inline Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
// The first `count` values, zero beyond; nothing beyond is read or written.
inline Vec load(const float* p, int64_t count) { return {_mm512_maskz_loadu_ps(lanes_below(count), p)}; }
inline void store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
inline void store(float* p, Vec a, int64_t count) { _mm512_mask_storeu_ps(p, lanes_below(count), a.v); }

inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec multiply_add(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
// A NaN in b is kept.
inline Vec largest(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Vec smallest(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
// Lanes from `count` on are replaced by `other`.
inline Vec keep_first(Vec a, int64_t count, float other) {
  return {_mm512_mask_blend_ps(lanes_below(count), _mm512_set1_ps(other), a.v)};
}
// a where x is not below the limit, else zero.
inline Vec zero_below(Vec a, Vec x, Vec limit) {
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.v, limit.v, _CMP_NLT_UQ), a.v)};
}
// a * 2^n for whole n.
inline Vec times_power_of_two(Vec a, Vec n) { return {_mm512_scalef_ps(a.v, n.v)}; }

// The lanes' sum and largest, in a fixed order of halves.
inline float sum_of(Vec a) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
inline float largest_of(Vec a) {
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

// Stores the nearest bfloat16 of each lane and returns their values.
inline Vec store_bfloat(uint16_t* p, Vec a) {
  const __m256i bits = (__m256i)_mm512_cvtneps_pbh(a.v);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), bits);
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
}
inline void store_bfloat(uint16_t* p, Vec a, int64_t count) {
  _mm256_mask_storeu_epi16(p, lanes_below(count), (__m256i)_mm512_cvtneps_pbh(a.v));
}

inline Pairs load_pairs(const uint16_t* p) { return {_mm512_loadu_si512(p)}; }
// The same pair in every lane.
inline Pairs fill_pairs(const uint16_t* p) {
  int32_t pair;
  std::memcpy(&pair, p, sizeof pair);
  return {_mm512_set1_epi32(pair)};
}
// sum + a0 * b0 + a1 * b1 in each lane.
inline Vec dot_pairs(Vec sum, Pairs a, Pairs b) {
  return {_mm512_dpbf16_ps(sum.v, (__m512bh)a.v, (__m512bh)b.v)};
}

}  // namespace
}  // namespace pagoda
