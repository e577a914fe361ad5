// AVX2 with FMA and F16C: two vectors hold the 16 outputs of a block.
//
// Nothing here may have external linkage but the entry point: this file is compiled with flags of its
// own, and a shared inline function could be the copy that older machines run.
#include <immintrin.h>

#include "matmul_kernels.h"
#include "layout.h"
#include "tiling.h"

namespace pagoda {
namespace {

// acc[row][half block], from half block `start` on.
template <int Rows, int Halves>
inline void store(const __m256 (&acc)[Rows][Halves], const Tile& t, int start) {
  for (int i = 0; i < Halves; ++i) {
    const int h = start + i;
    const int64_t columns = t.columns - h * 8;
    if (columns <= 0) return;
    for (int r = 0; r < Rows; ++r) {
      float* out = t.out + r * t.out_stride + h * 8;
      if (columns >= 8) {
        __m256 value = acc[r][i];
        if (t.bias) value = _mm256_add_ps(value, _mm256_loadu_ps(t.bias + h * 8));
        if (t.store == Store::add) value = _mm256_add_ps(_mm256_loadu_ps(out), value);
        _mm256_storeu_ps(out, value);
        continue;
      }
      float values[8];
      _mm256_storeu_ps(values, acc[r][i]);
      for (int64_t o = 0; o < columns; ++o) {
        const float value = t.bias ? values[o] + t.bias[h * 8 + o] : values[o];
        out[o] = t.store == Store::add ? out[o] + value : value;
      }
    }
  }
}

inline __m256 halves(const std::byte* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

inline __m256i broadcast(const std::byte* from) {
  int word;
  std::memcpy(&word, from, sizeof word);
  return _mm256_set1_epi32(word);
}

inline __m256 broadcast_float(const std::byte* from) { return _mm256_castsi256_ps(broadcast(from)); }

// Makes the compiler finish a sum here: it would rather compute all products first and keep them in
// memory, for want of registers.
inline void settle(__m256i& sum) { __asm__("" : "+x"(sum)); }

inline __m256i load_bytes(const std::byte* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

// float32, float16 and bfloat16: a fused multiply-add per k in ascending order.
template <WeightFormat F>
struct FloatKernel {
  static constexpr int kRows = F == WeightFormat::bf16 ? 5 : 6, kRowsOfTwo = 3, kRowsOfFour = 0;
  static constexpr int64_t kStepK = kGroup;
  static int64_t width(int64_t, int64_t rows) { return rows <= kRowsOfTwo ? 2 : 1; }
  // A step is one k, or the pair of k that bfloat16 weights are packed in.
  static constexpr int kAtOnce = F == WeightFormat::bf16 ? 2 : 1;
  static constexpr int64_t kStep = kBlock * (F == WeightFormat::f16 ? 2 : 4);

  static inline __m256 load(const std::byte* from, int which) {
    if constexpr (F == WeightFormat::f32) return _mm256_loadu_ps(reinterpret_cast<const float*>(from));
    if constexpr (F == WeightFormat::f16) return halves(from);
    const __m256i pair = load_bytes(from);
    return _mm256_castsi256_ps(which == 0 ? _mm256_slli_epi32(pair, 16)
                                          : _mm256_and_si256(pair, _mm256_set1_epi32(-65536)));
  }

  template <int Rows, int Blocks>
  static inline void step(__m256 (&acc)[Rows][2 * Blocks], const std::byte* weight,
                          const RowPointers<Rows>& x, int which, const Tile& t) {
    __m256 w[2 * Blocks];
#pragma GCC unroll 4
    for (int h = 0; h < 2 * Blocks; ++h) {
      w[h] = load(weight + t.block_bytes * static_cast<size_t>(h / 2) + h % 2 * (kStep / 2), which);
    }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const __m256 value = broadcast_float(x[r] + 4 * which);
#pragma GCC unroll 4
      for (int h = 0; h < 2 * Blocks; ++h) acc[r][h] = _mm256_fmadd_ps(w[h], value, acc[r][h]);
    }
  }

  template <int Rows, int Blocks>
  [[gnu::noinline]] static void run(const Tile& t) {
    __m256 acc[Rows][2 * Blocks];
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
      for (int h = 0; h < 2 * Blocks; ++h) acc[r][h] = _mm256_setzero_ps();
    }
    const std::byte* weight = t.weight;
    RowPointers<Rows> x(t);
    int64_t k = 0;
    for (; k + kAtOnce <= t.k; k += kAtOnce, weight += kStep, x.advance(4 * kAtOnce)) {
#pragma GCC unroll 2
      for (int which = 0; which < kAtOnce; ++which) step<Rows, Blocks>(acc, weight, x, which, t);
    }
    if (k < t.k) step<Rows, Blocks>(acc, weight, x, 0, t);
    store(acc, t, 0);
  }
};

// Groups of 32: exact integer sums, scaled and accumulated in float32, group after group.
template <WeightFormat F>
struct QuantisedKernel {
  static constexpr int kRows = 6, kRowsOfTwo = 0, kRowsOfFour = 0;
  static constexpr int64_t kStepK = kGroup;
  static int64_t width(int64_t, int64_t) { return 1; }
  static constexpr size_t kCodes = F == WeightFormat::int8 ? kInt8Codes : kInt4Codes;
  static constexpr size_t kStride = kCodes + (F == WeightFormat::int4_offset ? 2 * kHalves : kHalves);

  // Pairs of byte products are summed in int16, exactly: a pair is at most 2 * 128 * 127 = 32512 for
  // int8 (|weight| times the activation with the weight's sign; activations are never -128), and all
  // eight pairs of an int4 lane are at most 16 * 15 * 127 = 30480.
  template <int Rows>
  static inline void dot(const std::byte* codes, const RowPointers<Rows>& x, __m256i (&out)[Rows]) {
    const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) out[r] = _mm256_setzero_si256();
    if constexpr (F == WeightFormat::int8) {
#pragma GCC unroll 8
      for (int v = 0; v < 8; ++v) {
        const __m256i w = _mm256_xor_si256(load_bytes(codes + v * 64), _mm256_set1_epi8(-128));
        const __m256i magnitude = _mm256_abs_epi8(w);
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) {
          const __m256i value = _mm256_sign_epi8(broadcast(x[r] + v * 4), w);
          out[r] = _mm256_add_epi32(out[r], _mm256_madd_epi16(_mm256_maddubs_epi16(magnitude, value), ones));
          settle(out[r]);
        }
      }
    } else {
      const __m256i nibble = _mm256_set1_epi8(15);
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) {
        const __m256i w = load_bytes(codes + v * 64);
        const __m256i low = _mm256_and_si256(w, nibble);
        const __m256i high = _mm256_and_si256(_mm256_srli_epi16(w, 4), nibble);
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) {
          const std::byte* values = x[r] + v * 4;
          out[r] = _mm256_add_epi16(out[r], _mm256_maddubs_epi16(low, broadcast(values)));
          out[r] = _mm256_add_epi16(out[r], _mm256_maddubs_epi16(high, broadcast(values + 16)));
          settle(out[r]);
        }
      }
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
        out[r] = _mm256_madd_epi16(out[r], ones);
        if constexpr (F == WeightFormat::int4) {
          out[r] = _mm256_add_epi32(out[r], broadcast(x[r] + offsetof(QuantisedGroup, minus_8_sum)));
        }
      }
    }
  }

  template <int Rows, int Blocks>
  [[gnu::noinline]] static void run(const Tile& t) {
    static_assert(Blocks == 1, "one block at a time");
    // One row reads the weights once. More would spill the sixteen registers, so their second half
    // block is a second pass, over weights that are in the cache by then.
    if constexpr (Rows == 1) {
      pass<Rows, 2>(t, 0);
    } else {
      pass<Rows, 1>(t, 0);
      pass<Rows, 1>(t, 1);
    }
  }

  template <int Rows, int Halves>
  static inline void pass(const Tile& t, int start) {
    __m256 acc[Rows][Halves];
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
      for (int h = 0; h < Halves; ++h) acc[r][h] = _mm256_setzero_ps();
    }
    const std::byte* group = t.weight;
    RowPointers<Rows> x(t);
    for (int64_t k = 0; k < t.k; k += kGroup, group += kStride, x.advance(sizeof(QuantisedGroup))) {
#pragma GCC unroll 2
      for (int h = 0; h < Halves; ++h) {
        __m256i dots[Rows];
        dot<Rows>(group + (start + h) * 32, x, dots);
        const std::byte* factors = group + kCodes + (start + h) * 16;
        const __m256 d = halves(factors);
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) {
          const __m256 scale = _mm256_mul_ps(d, broadcast_float(x[r] + offsetof(QuantisedGroup, scale)));
          acc[r][h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[r]), scale, acc[r][h]);
        }
        if constexpr (F == WeightFormat::int4_offset) {
          const __m256 m = halves(factors + kHalves);
#pragma GCC unroll 8
          for (int r = 0; r < Rows; ++r) {
            const __m256 sum = broadcast_float(x[r] + offsetof(QuantisedGroup, scaled_sum));
            acc[r][h] = _mm256_fmadd_ps(m, sum, acc[r][h]);
          }
        }
      }
    }
    store(acc, t, start);
  }
};

inline __m128i fold(__m256i v, bool maximum) {
  const __m128i a = _mm256_castsi256_si128(v), b = _mm256_extracti128_si256(v, 1);
  __m128i x = maximum ? _mm_max_epu32(a, b) : _mm_add_epi32(a, b);
  const __m128i y = _mm_shuffle_epi32(x, 0x4e);
  x = maximum ? _mm_max_epu32(x, y) : _mm_add_epi32(x, y);
  const __m128i z = _mm_shuffle_epi32(x, 0xb1);
  return maximum ? _mm_max_epu32(x, z) : _mm_add_epi32(x, z);
}

void quantise_row(const float* x, int64_t groups, QuantisedGroup* out) {
  const __m256i positive = _mm256_set1_epi32(0x7fffffff);
  // Undoes the order in which the two packs below leave groups of four values.
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  for (QuantisedGroup* end = out + groups; out < end; ++out, x += kGroup) {
    __m256 values[4];
    __m256i magnitude = _mm256_setzero_si256();
    for (int i = 0; i < 4; ++i) {
      values[i] = _mm256_loadu_ps(x + i * 8);
      magnitude = _mm256_max_epu32(magnitude, _mm256_and_si256(_mm256_castps_si256(values[i]), positive));
    }
    const uint32_t most = static_cast<uint32_t>(_mm_cvtsi128_si32(fold(magnitude, true)));
    __m256i* q = reinterpret_cast<__m256i*>(out->q);
    if (most < kTinyBits || most >= kInfinityBits) {
      _mm256_storeu_si256(q, _mm256_setzero_si256());
      out->scale = out->scaled_sum = most < kTinyBits ? 0.0f : __builtin_nanf("");
      out->sum = out->minus_8_sum = 0;
      continue;
    }
    float largest;
    std::memcpy(&largest, &most, 4);
    const __m256 inverse = _mm256_set1_ps(127.0f / largest);
    __m256i rounded[4];
    __m256i sums = _mm256_setzero_si256();
    for (int i = 0; i < 4; ++i) {
      rounded[i] = _mm256_cvtps_epi32(_mm256_mul_ps(values[i], inverse));
      sums = _mm256_add_epi32(sums, rounded[i]);
    }
    const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(rounded[0], rounded[1]),
                                             _mm256_packs_epi32(rounded[2], rounded[3]));
    _mm256_storeu_si256(q, _mm256_permutevar8x32_epi32(bytes, order));
    const int32_t sum = _mm_cvtsi128_si32(fold(sums, false));
    out->scale = largest / 127.0f;
    out->scaled_sum = out->scale * static_cast<float>(sum);
    out->sum = sum;
    out->minus_8_sum = -8 * sum;
  }
}

void avx2_matmul(const Product& p) {
  switch (p.format) {
    case WeightFormat::f32: return multiply<FloatKernel<WeightFormat::f32>>(p);
    case WeightFormat::f16: return multiply<FloatKernel<WeightFormat::f16>>(p);
    case WeightFormat::bf16: return multiply<FloatKernel<WeightFormat::bf16>>(p);
    case WeightFormat::int8: return multiply<QuantisedKernel<WeightFormat::int8>>(p);
    case WeightFormat::int4: return multiply<QuantisedKernel<WeightFormat::int4>>(p);
    case WeightFormat::int4_offset: return multiply<QuantisedKernel<WeightFormat::int4_offset>>(p);
  }
}

}  // namespace

// No AVX2 product takes bfloat16 activations, so their rounding needs no kernel of its own.
MatmulKernels matmul_kernels_avx2() {
  return {avx2_matmul, quantise_row, matmul_kernels_portable().round_row};
}

}  // namespace pagoda
