// What each instruction set implements, and the table through which it is reached.
#pragma once

#include <cstddef>
#include <cstdint>

#include "matmul.h"

namespace pagoda {

// One call of matmul with the weight opened up, so that the files of the instruction sets need no
// inline member function of a class (the linker may keep any one of the copies it finds).
struct Product {
  Activations a;
  int64_t row0, row1;
  WeightFormat format;
  int64_t n, k;
  const std::byte* weight;      // block 0
  size_t block_bytes;
  int64_t block0, block1;
  const float* bias;            // n values or null
  Store store;
  float* out;
  int64_t out_stride;
};

struct MatmulKernels {
  void (*matmul)(const Product& product);
  void (*quantise_row)(const float* x, int64_t groups, QuantisedGroup* out);
  // bfloat16, round to nearest even; a NaN stays one. Zeros fill values k up to `padded`.
  void (*round_row)(const float* x, int64_t k, int64_t padded, uint16_t* out);
};

// Bounds on the largest magnitude of a group while quantising, as the bits of a float32: below the
// first (1e-36, where 127 / max would overflow) the group counts as zero; from the second on it holds an
// infinity or a NaN and its scale becomes NaN.
constexpr uint32_t kTinyBits = 0x03aa2425u;
constexpr uint32_t kInfinityBits = 0x7f800000u;

MatmulKernels matmul_kernels_portable();
MatmulKernels matmul_kernels_avx2();
MatmulKernels matmul_kernels_avx512();

// The kernels of `isa`; throws std::invalid_argument when this build or machine cannot run it.
MatmulKernels matmul_kernels_for(Isa isa);

}  // namespace pagoda
