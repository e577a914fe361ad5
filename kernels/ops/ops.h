// The row operations and attention that each instruction set implements, and the table through which
// they are reached. Matrix products have a table of their own (kernels/matmul).
//
// Nothing here knows threads: a function works on the rows it is given. Every result depends on the
// inputs of its row alone, never on what else is computed beside it.
#pragma once

#include <cstdint>

#include "matmul.h"

namespace pagoda {

constexpr int64_t kPage = 32;         // tokens of a cache block
constexpr int64_t kChunk = 256;       // keys whose softmax is taken at once; see attention.h
constexpr int64_t kTileRows = 12;     // query rows of an attention tile
constexpr int64_t kMaxHeadDim = 256;  // head sizes are multiples of 16 up to this

// What a head goes through between its projection and attention.
struct HeadTransform {
  int64_t head_dim;
  const float* norm;     // weight of the head's norm (head_dim values), or null
  float norm_eps;
  const float* cosine;   // (positions, head_dim / 2), or null for heads that are not rotated
  const float* sine;
};

// Functions of single values. gelu is x times the normal distribution function (arXiv:1606.08415), gelu_tanh
// the approximation of it in that paper.
enum class Activation : int { none = 0, gelu = 1, gelu_tanh = 2, relu = 3, tanh = 4 };

// Query rows over one chunk of keys of one sequence and one key head.
struct AttentionTile {
  int64_t rows;              // 1..kTileRows
  int64_t head_dim;
  const uint16_t* queries;   // (rows, head_dim) bfloat16
  const int32_t* last;       // (rows,) position of the last key a row sees
  const int32_t* blocks;     // the sequence's block table
  const uint16_t* cache;     // keys of this layer and head in block 0
  int64_t block_stride;      // values from a block to the next
  int64_t value_offset;      // values from a block's keys to its values
  float scale;
};

// Softmax of some keys before normalisation: weights exp(score - highest), their sum, and the sum of
// values so weighted.
struct Partial {
  float highest[kTileRows];
  float sum[kTileRows];
  alignas(64) float weighted[kTileRows * kMaxHeadDim];  // (rows, head_dim)
};

// Memory attention_chunk works in.
struct alignas(64) AttentionScratch {
  float scores[kTileRows * kChunk];
  uint16_t weights[kTileRows * kChunk];
};

struct OpKernels {
  // out = x / sqrt(mean(x^2) + eps) * weight (arXiv:1910.07467), n values; out may be x.
  void (*rms_norm)(const float* x, const float* weight, float eps, int64_t n, float* out);
  // out = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias (arXiv:1607.06450), n values; out may be x.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float eps, int64_t n, float* out);
  // x = kind(x), n values; the absolute error is below 2e-7 of the larger of |x| and 1.
  void (*activate)(Activation kind, float* x, int64_t n);
  // gate = silu(gate) * up, n values.
  void (*silu_multiply)(float* gate, const float* up, int64_t n);
  // out = bfloat16 of the head x after its norm and its rotation to `position`.
  void (*transform_head)(const HeadTransform& head, const float* x, int64_t position, uint16_t* out);
  // out = bfloat16 of n values, round to nearest even.
  void (*round_values)(const float* x, int64_t n, uint16_t* out);
  // The softmax partial of each row over keys [first, min(first + kChunk, last + 1)); `first` is a
  // multiple of kChunk. Rows whose `last` is below `first` are given nothing.
  void (*attention_chunk)(const AttentionTile& tile, int64_t first, AttentionScratch& scratch, Partial& out);
  // total = total and part together, for one row; `part` covers the keys right after those of `total`.
  void (*merge)(float& highest, float& sum, float* weighted, float part_highest, float part_sum,
                const float* part_weighted, int64_t head_dim);
  // out = weighted / sum.
  void (*finish)(const float* weighted, float sum, int64_t head_dim, float* out);
  // out = e^x, n values; see row_ops.h for its range and error (exposed for tests).
  void (*exponential)(const float* x, int64_t n, float* out);
};

OpKernels portable_ops();
OpKernels avx2_ops();
OpKernels avx512_ops();

// The operations of `isa`; throws std::invalid_argument when this build or machine cannot run it.
OpKernels ops_for(Isa isa);

}  // namespace pagoda
