// The path without instruction sets: standard C++ that compilers vectorise as they can.
#include <cmath>
#include <cstring>

#include "matmul_kernels.h"
#include "layout.h"
#include "tiling.h"

namespace pagoda {
namespace {

constexpr int kWidth = static_cast<int>(kBlock);
constexpr int kGroupSize = static_cast<int>(kGroup);

// Fused where the target has the instruction, as on ARM; a library call would be far slower.
inline float multiply_add(float a, float b, float c) {
#if defined(__FP_FAST_FMAF)
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
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

template <WeightFormat F>
struct FloatKernel {
  static constexpr int kRows = 4, kRowsOfTwo = 0, kRowsOfFour = 0;
  static constexpr int64_t kStepK = kGroup;
  static int64_t width(int64_t, int64_t) { return 1; }

  static void load(const std::byte* block, int64_t k, float (&w)[kWidth]) {
    if constexpr (F == WeightFormat::f32) {
      std::memcpy(w, block + k * kWidth * 4, sizeof w);
    } else if constexpr (F == WeightFormat::f16) {
      uint16_t half[kWidth];
      std::memcpy(half, block + k * kWidth * 2, sizeof half);
      for (int o = 0; o < kWidth; ++o) w[o] = half_to_float(half[o]);
    } else {
      uint32_t pair[kWidth];
      std::memcpy(pair, block + k / 2 * kWidth * 4, sizeof pair);
      for (int o = 0; o < kWidth; ++o) w[o] = bfloat_to_float(static_cast<uint16_t>(pair[o] >> (k % 2 * 16)));
    }
  }

  template <int Rows, int Blocks>
  static void run(const Tile& t) {
    float acc[Rows][kWidth] = {};
    for (int64_t k = 0; k < t.k; ++k) {
      float w[kWidth];
      load(t.weight, k, w);
      for (int r = 0; r < Rows; ++r) {
        float x;
        std::memcpy(&x, t.x + r * t.x_stride + k * 4, 4);
        for (int o = 0; o < kWidth; ++o) acc[r][o] = multiply_add(x, w[o], acc[r][o]);
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

  // The codes of a group less their zero point, as [k][output].
  static void decode(const std::byte* group, int16_t (&w)[kGroupSize][kWidth]) {
    uint8_t bytes[kCodes];
    std::memcpy(bytes, group, kCodes);
    for (int v = 0; v < static_cast<int>(kCodes) / 64; ++v) {
      for (int j = 0; j < 4; ++j) {
        for (int o = 0; o < kWidth; ++o) {
          const int code = bytes[v * 64 + o * 4 + j];
          if constexpr (F == WeightFormat::int8) {
            w[v * 4 + j][o] = static_cast<int16_t>(code - kInt8Zero);
          } else {
            constexpr int zero = F == WeightFormat::int4 ? kInt4Zero : 0;
            w[v * 4 + j][o] = static_cast<int16_t>((code & 15) - zero);
            w[16 + v * 4 + j][o] = static_cast<int16_t>((code >> 4) - zero);
          }
        }
      }
    }
  }

  static void load_halves(const std::byte* from, float (&to)[kWidth]) {
    uint16_t half[kWidth];
    std::memcpy(half, from, sizeof half);
    for (int o = 0; o < kWidth; ++o) to[o] = half_to_float(half[o]);
  }

  template <int Rows, int Blocks>
  static void run(const Tile& t) {
    float acc[Rows][kWidth] = {};
    const std::byte* group = t.weight;
    for (int64_t g = 0; g < t.k / kGroup; ++g, group += kStride) {
      int16_t w[kGroupSize][kWidth];
      float d[kWidth], m[kWidth] = {};
      decode(group, w);
      load_halves(group + kCodes, d);
      if constexpr (F == WeightFormat::int4_offset) load_halves(group + kCodes + kHalves, m);
      for (int r = 0; r < Rows; ++r) {
        QuantisedGroup x;
        std::memcpy(&x, t.x + r * t.x_stride + g * static_cast<int64_t>(sizeof x), sizeof x);
        int32_t dot[kWidth] = {};
        for (int k = 0; k < kGroupSize; ++k) {
          for (int o = 0; o < kWidth; ++o) dot[o] += static_cast<int32_t>(w[k][o]) * x.q[k];
        }
        for (int o = 0; o < kWidth; ++o) {
          acc[r][o] = multiply_add(static_cast<float>(dot[o]), d[o] * x.scale, acc[r][o]);
        }
        if constexpr (F == WeightFormat::int4_offset) {
          for (int o = 0; o < kWidth; ++o) acc[r][o] = multiply_add(m[o], x.scaled_sum, acc[r][o]);
        }
      }
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
