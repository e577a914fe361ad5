// How packed weights lie in memory: the same for every instruction set.
//
// A block holds 16 output rows, zero padded past n. Inside it, for ascending k:
//   f32          [k][16] float
//   f16          [k][16] half
//   bf16         [ceil(k/2)][16][2] bfloat16, the pair of k a dot-product instruction takes; an odd k
//                is completed with zero
//   int8         per group of 32 k: [8][16][4] bytes q + 128, then [16] half d
//   int4         per group: [4][16][4] bytes, then [16] half d. Byte j of output o in vector v holds
//                k = 4v + j in its low and k = 16 + 4v + j in its high nibble
//   int4_offset  as int4, then [16] half m
// so that vector v of a quantised group is four k of 16 outputs, the operand of VPDPBUSD, and a block is
// read strictly forward.
//
// Everything here has internal linkage: files of different instruction sets include it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "matmul.h"

namespace pagoda {

constexpr size_t kInt4Codes = 256;   // bytes of codes of a group in a block
constexpr size_t kInt8Codes = 512;
constexpr size_t kHalves = 32;       // bytes of 16 halves
constexpr int kInt4Zero = 8;
constexpr int kInt8Zero = 128;       // added to an int8 code while packing

static inline bool is_quantised(WeightFormat format) {
  return format == WeightFormat::int8 || format == WeightFormat::int4 ||
         format == WeightFormat::int4_offset;
}

// Bytes of one group of 32 k in a block.
static inline size_t group_bytes(WeightFormat format) {
  switch (format) {
    case WeightFormat::int8: return kInt8Codes + kHalves;
    case WeightFormat::int4: return kInt4Codes + kHalves;
    case WeightFormat::int4_offset: return kInt4Codes + 2 * kHalves;
    default: return 0;
  }
}

// IEEE 754 binary16 to float, exactly.
static inline float half_to_float(uint16_t half) {
  const uint32_t magnitude = half & 0x7fffu;
  uint32_t bits = magnitude << 13;
  // Scaling by 2^112 moves the exponent's bias from 15 to 127 and makes subnormals normal.
  float scaled;
  std::memcpy(&scaled, &bits, 4);
  scaled *= 0x1p112f;
  std::memcpy(&bits, &scaled, 4);
  if (magnitude >= 0x7c00u) bits = 0x7f800000u | (magnitude << 13);
  bits |= static_cast<uint32_t>(half & 0x8000u) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

static inline float bfloat_to_float(uint16_t bfloat) {
  const uint32_t bits = static_cast<uint32_t>(bfloat) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

}  // namespace pagoda
