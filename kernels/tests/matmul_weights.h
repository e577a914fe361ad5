// Random weights as a checkpoint has them, with their exact values, and the checks of the matrix tests.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "matmul.h"

namespace pagoda {

struct Failures {
  int count = 0;
  void add(const char* file, int line, const std::string& what) {
    if (++count <= 20) std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  }
};

#define CHECK(failures, condition, what) \
  do {                                   \
    if (!(condition)) (failures).add(__FILE__, __LINE__, std::string(#condition) + ": " + (what)); \
  } while (false)

inline constexpr WeightFormat kFormats[] = {WeightFormat::f32,  WeightFormat::f16,  WeightFormat::bf16,
                                     WeightFormat::int8, WeightFormat::int4, WeightFormat::int4_offset};
inline constexpr const char* kNames[] = {"f32", "f16", "bf16", "int8", "int4", "int4_offset"};

inline bool quantised(WeightFormat f) { return static_cast<int>(f) >= static_cast<int>(WeightFormat::int8); }

// binary16 to double by its definition, independent of the library's conversion.
inline double half_value(uint16_t h) {
  const int exponent = (h >> 10) & 31, fraction = h & 1023;
  const double sign = h & 0x8000 ? -1.0 : 1.0;
  if (exponent == 31) return fraction ? std::nan("") : sign * INFINITY;
  return exponent ? sign * std::ldexp(1024 + fraction, exponent - 25) : sign * std::ldexp(fraction, -24);
}

inline float bfloat_value(uint16_t b) {
  const uint32_t bits = static_cast<uint32_t>(b) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

// A weight as a checkpoint has it, in rows padded by a stride of our choosing, and its exact values.
struct Weights {
  WeightSource source{};
  std::vector<unsigned char> bytes;
  std::vector<double> values;  // [n][k]

  Weights(WeightFormat format, int64_t n, int64_t k, std::mt19937& random) {
    source.format = format;
    source.n = n;
    source.k = k;
    values.resize(static_cast<size_t>(n * k));
    auto word = [&] { return static_cast<uint16_t>(random()); };
    // Finite halves up to 4 with subnormals and both zeros among them.
    auto half = [&] { return static_cast<uint16_t>((word() & 0x8000) | (word() % 0x4400)); };
    if (!quantised(format)) {
      const int64_t size = format == WeightFormat::f32 ? 4 : 2;
      source.row_stride = k * size + 6;  // not a multiple of anything
      bytes.resize(static_cast<size_t>(n * source.row_stride));
      for (int64_t i = 0; i < n * k; ++i) {
        unsigned char* to = bytes.data() + i / k * source.row_stride + i % k * size;
        if (format == WeightFormat::f32) {
          const float v = std::normal_distribution<float>(0, 1)(random);
          std::memcpy(to, &v, 4);
          values[i] = v;
        } else if (format == WeightFormat::f16) {
          const uint16_t v = half();
          std::memcpy(to, &v, 2);
          values[i] = half_value(v);
        } else {
          const float f = std::normal_distribution<float>(0, 1)(random);
          uint32_t bits;
          std::memcpy(&bits, &f, 4);
          const uint16_t v = static_cast<uint16_t>(bits >> 16);
          std::memcpy(to, &v, 2);
          values[i] = bfloat_value(v);
        }
      }
      source.data = bytes.data();
      return;
    }
    // GGUF's arrangement: a group is its halves and then its codes.
    const int64_t heads = format == WeightFormat::int4_offset ? 4 : 2;
    const int64_t codes = format == WeightFormat::int8 ? 32 : 16, size = heads + codes;
    const int64_t groups = k / kGroup;
    source.group_stride = source.scale_group_stride = size;
    source.row_stride = source.scale_row_stride = groups * size + 1;
    bytes.resize(static_cast<size_t>(n * source.row_stride));
    source.scales = bytes.data();
    source.offsets = heads == 4 ? bytes.data() + 2 : nullptr;
    source.data = bytes.data() + heads;
    for (int64_t i = 0; i < n * groups; ++i) {
      unsigned char* to = bytes.data() + i / groups * source.row_stride + i % groups * size;
      const uint16_t d = half(), m = half();
      std::memcpy(to, &d, 2);
      if (heads == 4) std::memcpy(to + 2, &m, 2);
      double* value = values.data() + i * kGroup;
      for (int64_t j = 0; j < codes; ++j) {
        // The extremes often: they are what saturates.
        const unsigned extreme = random() % 2 ? 0xff : 0x80;
        const auto code = static_cast<unsigned char>(random() % 4 ? random() : extreme);
        to[heads + j] = code;
        if (format == WeightFormat::int8) {
          value[j] = half_value(d) * static_cast<int8_t>(code);
        } else {
          for (int high = 0; high < 2; ++high) {
            const int q = high ? code >> 4 : code & 15;
            value[j + 16 * high] = heads == 4 ? half_value(d) * q + half_value(m) : half_value(d) * (q - 8);
          }
        }
      }
    }
  }
};

}  // namespace pagoda
