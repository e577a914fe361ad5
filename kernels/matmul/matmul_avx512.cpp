// AVX-512 with VNNI and BF16: one vector holds the 16 outputs of a block.
//
// Nothing here may have external linkage but the entry point: this file is compiled with flags of its
// own, and a shared inline function could be the copy that older machines run.
#include <immintrin.h>

#include "matmul_kernels.h"
#include "layout.h"
#include "tiling.h"

namespace pagoda {
namespace {

inline __mmask16 first(int64_t count) {
  return count >= 16 ? static_cast<__mmask16>(0xffff) : static_cast<__mmask16>((1u << count) - 1u);
}

// Clears the sums and asks for the lines of `out` that they will go to.
template <int Rows, int Blocks>
inline void begin(__m512 (&acc)[Rows][Blocks], const Tile& t) {
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int b = 0; b < Blocks; ++b) {
      acc[r][b] = _mm512_setzero_ps();
      _mm_prefetch(t.out + r * t.out_stride + b * kBlock, _MM_HINT_T0);
    }
  }
}

template <int Rows, int Blocks>
inline void store(const __m512 (&acc)[Rows][Blocks], const Tile& t) {
  for (int b = 0; b < Blocks; ++b) {
    const __mmask16 mask = first(t.columns - b * kBlock);
    const __m512 bias = t.bias ? _mm512_maskz_loadu_ps(mask, t.bias + b * kBlock) : _mm512_setzero_ps();
    for (int r = 0; r < Rows; ++r) {
      float* out = t.out + r * t.out_stride + b * kBlock;
      __m512 value = t.bias ? _mm512_add_ps(acc[r][b], bias) : acc[r][b];
      if (t.store == Store::add) value = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out), value);
      _mm512_mask_storeu_ps(out, mask, value);
    }
  }
}

// Four bytes of activations for all outputs; becomes the memory operand of the instruction that uses it.
inline __m512i broadcast(const std::byte* from) {
  int word;
  std::memcpy(&word, from, sizeof word);
  return _mm512_set1_epi32(word);
}

inline __m512 halves(const std::byte* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

inline const std::byte* prefetch(const std::byte* from, int64_t lines) {
  for (int64_t i = 0; i < lines; ++i, from += 64) _mm_prefetch(from, _MM_HINT_T0);
  return from;
}

// float32 and float16: a fused multiply-add per k in ascending order.
template <WeightFormat F>
struct FloatKernel {
  static constexpr int kRows = 12, kRowsOfTwo = 12, kRowsOfFour = 3;
  static constexpr int64_t kStepK = 16;
  static int64_t width(int64_t tiles, int64_t rows) { return tiles == 1 && rows < 4 ? 4 : 2; }
  static constexpr int64_t kStep = kBlock * (F == WeightFormat::f32 ? 4 : 2);

  template <int Rows, int Blocks>
  [[gnu::noinline]] static void run(const Tile& t) {
    __m512 acc[Rows][Blocks];
    begin(acc, t);
    const std::byte* weight = t.weight;
    const std::byte* ahead = t.ahead;
    RowPointers<Rows> x(t);
    for (int64_t k = 0; k < t.k; ++k, weight += kStep, x.advance(4)) {
      if (k % kStepK == 0) ahead = prefetch(ahead, t.ahead_lines);
      __m512 w[Blocks];
#pragma GCC unroll 4
      for (int b = 0; b < Blocks; ++b) {
        const std::byte* from = weight + t.block_bytes * static_cast<size_t>(b);
        w[b] = F == WeightFormat::f32 ? _mm512_loadu_ps(from) : halves(from);
      }
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        const __m512 value = _mm512_castsi512_ps(broadcast(x[r]));
#pragma GCC unroll 4
        for (int b = 0; b < Blocks; ++b) acc[r][b] = _mm512_fmadd_ps(w[b], value, acc[r][b]);
      }
    }
    store(acc, t);
  }
};

// bfloat16 pairs: VDPBF16PS, two k at a time in ascending order.
struct BfloatKernel {
  static constexpr int kRows = 12, kRowsOfTwo = 12, kRowsOfFour = 3;
  static constexpr int64_t kStepK = 16;
  // Enough chains of dependent instructions to keep the units busy, with as few streams of weights as
  // that allows where each weight is used once.
  static int64_t width(int64_t tiles, int64_t rows) {
    return tiles > 1 ? 2 : rows < 4 ? 4 : rows < 8 ? 2 : 1;
  }

  template <int Rows, int Blocks>
  [[gnu::noinline]] static void run(const Tile& t) {
    __m512 acc[Rows][Blocks];
    begin(acc, t);
    const std::byte* weight = t.weight;
    const std::byte* ahead = t.ahead;
    RowPointers<Rows> x(t);
    for (int64_t k = 0; k < t.k; k += 2, weight += 64, x.advance(4)) {
      if (k % kStepK == 0) ahead = prefetch(ahead, t.ahead_lines);
      __m512i w[Blocks];
#pragma GCC unroll 4
      for (int b = 0; b < Blocks; ++b) {
        w[b] = _mm512_load_si512(weight + t.block_bytes * static_cast<size_t>(b));
      }
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        const __m512i pair = broadcast(x[r]);
#pragma GCC unroll 4
        for (int b = 0; b < Blocks; ++b) {
          acc[r][b] = _mm512_dpbf16_ps(acc[r][b], (__m512bh)w[b], (__m512bh)pair);
        }
      }
    }
    store(acc, t);
  }
};

// Groups of 32: eight VPDPBUSD of codes (unsigned) with activations (signed) give the exact sum less
// its zero point, which is scaled and accumulated in float32, group after group.
template <WeightFormat F>
struct QuantisedKernel {
  static constexpr int kRows = 6, kRowsOfTwo = 6, kRowsOfFour = 0;
  static constexpr int64_t kStepK = kGroup;
  // A second block halves the loads of activations but reads two streams of weights, which the memory
  // delivers more slowly than one: it pays when the weights are used more than once.
  static int64_t width(int64_t tiles, int64_t) { return tiles > 1 ? 2 : 1; }
  static constexpr size_t kCodes = F == WeightFormat::int8 ? kInt8Codes : kInt4Codes;
  static constexpr size_t kStride = kCodes + (F == WeightFormat::int4_offset ? 2 * kHalves : kHalves);

  // Minus the zero point times the sum of the activations.
  static inline __m512i start(const std::byte* group) {
    if constexpr (F == WeightFormat::int4_offset) return _mm512_setzero_si512();
    const __m512i sum = broadcast(group + offsetof(QuantisedGroup, minus_8_sum));
    return F == WeightFormat::int8 ? _mm512_slli_epi32(sum, 4) : sum;
  }

  // One k quad of all rows and blocks. The rows take turns, so that their chains of dependent
  // instructions overlap.
  template <int Rows, int Blocks>
  static inline void add_products(__m512i (&dot)[Rows][Blocks], const __m512i (&w)[Blocks],
                                  const RowPointers<Rows>& x, int k) {
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const __m512i values = broadcast(x[r] + k);
#pragma GCC unroll 4
      for (int b = 0; b < Blocks; ++b) dot[r][b] = _mm512_dpbusd_epi32(dot[r][b], w[b], values);
    }
  }

  template <int Rows, int Blocks>
  [[gnu::noinline]] static void run(const Tile& t) {
    __m512 acc[Rows][Blocks];
    begin(acc, t);
    const std::byte* weight = t.weight;
    const int64_t stride = static_cast<int64_t>(t.block_bytes);
    const std::byte* ahead = t.ahead;
    RowPointers<Rows> x(t);
    for (int64_t k = 0; k < t.k; k += kGroup, weight += kStride, x.advance(sizeof(QuantisedGroup))) {
      ahead = prefetch(ahead, t.ahead_lines);
      __m512i dot[Rows][Blocks];
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
        const __m512i first = start(x[r]);
#pragma GCC unroll 4
        for (int b = 0; b < Blocks; ++b) dot[r][b] = first;
      }
#pragma GCC unroll 8
      for (int v = 0; v < static_cast<int>(kCodes) / 64; ++v) {
        __m512i low[Blocks], high[Blocks];
#pragma GCC unroll 4
        for (int b = 0; b < Blocks; ++b) {
          low[b] = _mm512_loadu_si512(weight + b * stride + v * 64);
          if constexpr (F != WeightFormat::int8) {
            const __m512i nibble = _mm512_set1_epi8(15);
            high[b] = _mm512_and_si512(_mm512_srli_epi16(low[b], 4), nibble);
            low[b] = _mm512_and_si512(low[b], nibble);
          }
        }
        add_products<Rows, Blocks>(dot, low, x, v * 4);
        if constexpr (F != WeightFormat::int8) add_products<Rows, Blocks>(dot, high, x, 16 + v * 4);
      }
#pragma GCC unroll 4
      for (int b = 0; b < Blocks; ++b) {
        const std::byte* factors = weight + b * stride + kCodes;
        const __m512 d = halves(factors);
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) {
          const __m512 scale = _mm512_castsi512_ps(broadcast(x[r] + offsetof(QuantisedGroup, scale)));
          acc[r][b] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[r][b]), _mm512_mul_ps(d, scale), acc[r][b]);
        }
        if constexpr (F == WeightFormat::int4_offset) {
          const __m512 m = halves(factors + kHalves);
#pragma GCC unroll 8
          for (int r = 0; r < Rows; ++r) {
            const __m512 sum = _mm512_castsi512_ps(broadcast(x[r] + offsetof(QuantisedGroup, scaled_sum)));
            acc[r][b] = _mm512_fmadd_ps(m, sum, acc[r][b]);
          }
        }
      }
    }
    store(acc, t);
  }
};

void quantise_row(const float* x, int64_t groups, QuantisedGroup* out) {
  const __m512i positive = _mm512_set1_epi32(0x7fffffff);
  const __m256i ones = _mm256_set1_epi8(1);
  for (QuantisedGroup* end = out + groups; out < end; ++out, x += kGroup) {
    const __m512 low = _mm512_loadu_ps(x), high = _mm512_loadu_ps(x + 16);
    const uint32_t most = _mm512_reduce_max_epu32(
        _mm512_max_epu32(_mm512_and_si512(_mm512_castps_si512(low), positive),
                         _mm512_and_si512(_mm512_castps_si512(high), positive)));
    __m256i* q = reinterpret_cast<__m256i*>(out->q);
    if (most < kTinyBits || most >= kInfinityBits) {
      _mm256_storeu_si256(q, _mm256_setzero_si256());
      out->scale = out->scaled_sum = most < kTinyBits ? 0.0f : __builtin_nanf("");
      out->sum = out->minus_8_sum = 0;
      continue;
    }
    float largest;
    std::memcpy(&largest, &most, 4);
    const __m512 inverse = _mm512_set1_ps(127.0f / largest);
    const __m128i q0 = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(low, inverse)));
    const __m128i q1 = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(high, inverse)));
    const __m256i values = _mm256_inserti128_si256(_mm256_castsi128_si256(q0), q1, 1);
    _mm256_storeu_si256(q, values);
    const __m256i sums = _mm256_dpbusd_epi32(_mm256_setzero_si256(), ones, values);
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    const int32_t sum = _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
    out->scale = largest / 127.0f;
    out->scaled_sum = out->scale * static_cast<float>(sum);
    out->sum = sum;
    out->minus_8_sum = -8 * sum;
  }
}

void round_row(const float* x, int64_t k, int64_t padded, uint16_t* out) {
  for (int64_t i = 0; i < padded; i += 16) {
    const __m512i bits = _mm512_maskz_loadu_epi32(first(k - i), x + i);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 nan = _mm512_cmpgt_epi32_mask(_mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff)),
                                                  _mm512_set1_epi32(static_cast<int>(kInfinityBits)));
    const __m512i value =
        _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    _mm256_mask_storeu_epi16(out + i, first(padded - i), _mm512_cvtepi32_epi16(_mm512_srli_epi32(value, 16)));
  }
}

void avx512_matmul(const Product& p) {
  switch (p.format) {
    case WeightFormat::f32: return multiply<FloatKernel<WeightFormat::f32>>(p);
    case WeightFormat::f16: return multiply<FloatKernel<WeightFormat::f16>>(p);
    case WeightFormat::bf16: return multiply<BfloatKernel>(p);
    case WeightFormat::int8: return multiply<QuantisedKernel<WeightFormat::int8>>(p);
    case WeightFormat::int4: return multiply<QuantisedKernel<WeightFormat::int4>>(p);
    case WeightFormat::int4_offset: return multiply<QuantisedKernel<WeightFormat::int4_offset>>(p);
  }
}

}  // namespace

MatmulKernels matmul_kernels_avx512() { return {avx512_matmul, quantise_row, round_row}; }

}  // namespace pagoda
