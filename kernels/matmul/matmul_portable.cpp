// The path without instruction sets, and what ARM gets. All formats meet in float32: sums of a quantised
// group are integers below 2^24, so float32 holds them exactly.
#include <cmath>
#include <cstring>

#include "matmul_kernels.h"
#include "layout.h"
#include "tiling.h"

namespace pagoda {
namespace {

constexpr int kWidth = static_cast<int>(kBlock);
constexpr int kGroupSize = static_cast<int>(kGroup);
constexpr int kVectors = kWidth / 4;

// Four floats, the vector that SSE2 and NEON have (an extension that GCC and Clang share).
using Four = float __attribute__((vector_size(16)));

// Up to 32 k of a block as [k][16] floats.
struct alignas(64) Chunk {
  float w[kGroupSize][kWidth];
};

inline Four load(const float* from) {
  Four value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// sum[row] += x[row][i] * w[i] for ascending i; one or two rows at once, as registers allow.
template <int Rows>
inline void add_products(const Chunk& chunk, int count, const float* const (&x)[Rows],
                         float (*sum)[kWidth]) {
  Four acc[Rows][kVectors];
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < kVectors; ++v) acc[r][v] = load(sum[r] + 4 * v);
  }
  for (int i = 0; i < count; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      const Four w = load(chunk.w[i] + 4 * v);
      for (int r = 0; r < Rows; ++r) acc[r][v] += w * x[r][i];
    }
  }
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < kVectors; ++v) std::memcpy(sum[r] + 4 * v, &acc[r][v], sizeof(Four));
  }
}

template <int Rows>
void store(const float (&acc)[Rows][kWidth], const Tile& t) {
  for (int r = 0; r < Rows; ++r) {
    float* out = t.out + r * t.out_stride;
    for (int64_t o = 0; o < t.columns; ++o) {
      const float value = t.bias ? acc[r][o] + t.bias[o] : acc[r][o];
      out[o] = t.store == Store::add ? out[o] + value : value;
    }
  }
}

// half_to_float, sixteen at once and in steps that vectorise.
void load_halves(const std::byte* from, float (&to)[kWidth]) {
  uint16_t half[kWidth];
  uint32_t bits[kWidth], top[kWidth];
  std::memcpy(half, from, sizeof half);
  for (int o = 0; o < kWidth; ++o) {
    bits[o] = static_cast<uint32_t>(half[o] & 0x7fff) << 13;
    // The exponent of an infinity or a NaN becomes all ones.
    top[o] = (static_cast<uint32_t>(half[o] & 0x8000) << 16) | (bits[o] >= 0x0f800000u ? kInfinityBits : 0u);
  }
  std::memcpy(to, bits, sizeof bits);
  for (int o = 0; o < kWidth; ++o) to[o] *= 0x1p112f;
  std::memcpy(bits, to, sizeof bits);
  for (int o = 0; o < kWidth; ++o) bits[o] |= top[o];
  std::memcpy(to, bits, sizeof bits);
}

template <WeightFormat F>
struct FloatKernel {
  static constexpr int kRows = 8, kRowsOfTwo = 0, kRowsOfFour = 0;
  static constexpr int64_t kStepK = kGroup;
  static int64_t width(int64_t, int64_t) { return 1; }

  static void decode(const std::byte* block, int64_t k0, int count, Chunk& chunk) {
    if constexpr (F == WeightFormat::f32) {
      std::memcpy(chunk.w, block + k0 * kWidth * 4, static_cast<size_t>(count) * kWidth * 4);
    } else if constexpr (F == WeightFormat::f16) {
      for (int i = 0; i < count; ++i) load_halves(block + (k0 + i) * kWidth * 2, chunk.w[i]);
    } else {
      for (int i = 0; i < count; i += 2) {  // the layout has room for the partner of an odd last k
        uint32_t pair[kWidth], high[kWidth];
        std::memcpy(pair, block + (k0 + i) * kWidth * 2, sizeof pair);
        for (int o = 0; o < kWidth; ++o) {
          high[o] = pair[o] & 0xffff0000u;
          pair[o] <<= 16;
        }
        std::memcpy(chunk.w[i], pair, sizeof pair);
        std::memcpy(chunk.w[i + 1], high, sizeof high);
      }
    }
  }

  template <int Rows, int Blocks>
  static void run(const Tile& t) {
    float acc[Rows][kWidth] = {};
    Chunk chunk;
    for (int64_t k = 0; k < t.k; k += kGroup) {
      const int count = static_cast<int>(t.k - k < kGroup ? t.k - k : kGroup);
      decode(t.weight, k, count, chunk);
      auto row = [&](int r) { return reinterpret_cast<const float*>(t.x + r * t.x_stride) + k; };
      for (int r = 0; r + 1 < Rows; r += 2) {
        const float* const x[2] = {row(r), row(r + 1)};
        add_products<2>(chunk, count, x, acc + r);
      }
      if constexpr (Rows % 2 == 1) {
        const float* const x[1] = {row(Rows - 1)};
        add_products<1>(chunk, count, x, acc + Rows - 1);
      }
    }
    store(acc, t);
  }
};

template <WeightFormat F>
struct QuantisedKernel {
  static constexpr int kRows = 8, kRowsOfTwo = 0, kRowsOfFour = 0;
  static constexpr int64_t kStepK = kGroup;
  static int64_t width(int64_t, int64_t) { return 1; }
  static constexpr size_t kCodes = F == WeightFormat::int8 ? kInt8Codes : kInt4Codes;
  static constexpr size_t kStride =
      kCodes + (F == WeightFormat::int4_offset ? 2 * kHalves : kHalves);

  // The codes of a group less their zero point.
  static void decode(const std::byte* group, Chunk& chunk) {
    constexpr int zero = F == WeightFormat::int8 ? kInt8Zero : F == WeightFormat::int4 ? kInt4Zero : 0;
    constexpr int mask = F == WeightFormat::int8 ? 255 : 15;
    for (int v = 0; v < static_cast<int>(kCodes) / 64; ++v) {
      int32_t words[kWidth];
      std::memcpy(words, group + v * 64, sizeof words);
      for (int j = 0; j < 4; ++j) {
        float* low = chunk.w[v * 4 + j];
        for (int o = 0; o < kWidth; ++o) low[o] = static_cast<float>(((words[o] >> (8 * j)) & mask) - zero);
        if constexpr (F != WeightFormat::int8) {
          float* high = chunk.w[16 + v * 4 + j];
          for (int o = 0; o < kWidth; ++o) {
            high[o] = static_cast<float>(((words[o] >> (8 * j + 4)) & mask) - zero);
          }
        }
      }
    }
  }

  template <int Count>
  static void add_rows(const Tile& t, int64_t g, const Chunk& chunk, const float (&d)[kWidth],
                       const float (&m)[kWidth], int first, float (*acc)[kWidth]) {
    QuantisedGroup group[Count];
    float values[Count][kGroupSize], dot[Count][kWidth] = {};
    const float* x[Count];
    for (int r = 0; r < Count; ++r) {
      const std::byte* row = t.x + (first + r) * t.x_stride;
      std::memcpy(&group[r], row + g * static_cast<int64_t>(sizeof group[r]), sizeof group[r]);
      for (int k = 0; k < kGroupSize; ++k) values[r][k] = static_cast<float>(group[r].q[k]);
      x[r] = values[r];
    }
    add_products<Count>(chunk, kGroupSize, x, dot);
    for (int r = 0; r < Count; ++r) {
      float* sum = acc[first + r];
      for (int o = 0; o < kWidth; ++o) sum[o] += dot[r][o] * (d[o] * group[r].scale);
      if constexpr (F == WeightFormat::int4_offset) {
        for (int o = 0; o < kWidth; ++o) sum[o] += m[o] * group[r].scaled_sum;
      }
    }
  }

  template <int Rows, int Blocks>
  static void run(const Tile& t) {
    float acc[Rows][kWidth] = {};
    Chunk chunk;
    const std::byte* group = t.weight;
    for (int64_t g = 0; g < t.k / kGroup; ++g, group += kStride) {
      float d[kWidth], m[kWidth] = {};
      decode(group, chunk);
      load_halves(group + kCodes, d);
      if constexpr (F == WeightFormat::int4_offset) load_halves(group + kCodes + kHalves, m);
      for (int r = 0; r + 1 < Rows; r += 2) add_rows<2>(t, g, chunk, d, m, r, acc);
      if constexpr (Rows % 2 == 1) add_rows<1>(t, g, chunk, d, m, Rows - 1, acc);
    }
    store(acc, t);
  }
};

void quantise_row(const float* x, int64_t groups, QuantisedGroup* out) {
  for (QuantisedGroup* end = out + groups; out < end; ++out, x += kGroup) {
    uint32_t bits[kGroupSize], most = 0;
    std::memcpy(bits, x, sizeof bits);
    for (int i = 0; i < kGroupSize; ++i) {
      const uint32_t magnitude = bits[i] & 0x7fffffffu;
      most = magnitude > most ? magnitude : most;
    }
    if (most < kTinyBits || most >= kInfinityBits) {
      std::memset(out->q, 0, kGroupSize);
      out->scale = out->scaled_sum = most < kTinyBits ? 0.0f : NAN;
      out->sum = out->minus_8_sum = 0;
      continue;
    }
    float largest;
    std::memcpy(&largest, &most, 4);
    const float inverse = 127.0f / largest;
    int32_t sum = 0;
    for (int i = 0; i < kGroupSize; ++i) {
      // Adding 1.5 * 2^23 leaves the nearest even integer in the low bits.
      constexpr float kShift = 12582912.0f;
      const float shifted = x[i] * inverse + kShift;
      const int32_t value = static_cast<int32_t>(shifted - kShift);
      out->q[i] = static_cast<int8_t>(value);
      sum += value;
    }
    out->scale = largest / 127.0f;
    out->scaled_sum = out->scale * static_cast<float>(sum);
    out->sum = sum;
    out->minus_8_sum = -8 * sum;
  }
}

void round_row(const float* x, int64_t k, int64_t padded, uint16_t* out) {
  for (int64_t i = 0; i < k; ++i) {
    uint32_t bits;
    std::memcpy(&bits, x + i, 4);
    const uint32_t rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
    const bool nan = (bits & 0x7fffffffu) > kInfinityBits;
    out[i] = static_cast<uint16_t>((nan ? bits | 0x400000u : rounded) >> 16);
  }
  for (int64_t i = k; i < padded; ++i) out[i] = 0;
}

void portable_matmul(const Product& p) {
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

MatmulKernels matmul_kernels_portable() { return {portable_matmul, quantise_row, round_row}; }

}  // namespace pagoda
