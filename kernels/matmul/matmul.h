// Matrix products of activation rows with packed weights: out[t, n] = sum_k x[t, k] * w[n, k].
//
// The contract between the matrix kernels and whoever schedules them (the executor). Nothing here
// knows threads: every function works on the range of rows and output blocks it is given, and may be
// called at once by several threads on ranges that do not overlap.
//
// One rule holds for all of it: the value of out[t, n] depends on row t and weight row n alone. The
// order of summation is the same whatever the number of rows, the range of blocks or the thread, so a
// request gives the same bits alone or in a crowd.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace pagoda {

// Instruction sets, in rising order. `avx512` means F, BW, DQ, VL, VNNI and BF16 together.
enum class Isa : int { portable = 0, avx2 = 1, avx512 = 2 };

// The best set this processor and operating system can run (CPUID and XGETBV).
Isa best_isa();
const char* isa_name(Isa isa);

// How weights are stored. The quantised formats have one float16 scale `d` for each group of 32
// consecutive k of a row:
//   int8         value = d * q          q in -128..127                   (GGUF Q8_0)
//   int4         value = d * (q - 8)    q in 0..15                       (GGUF Q4_0)
//   int4_offset  value = d * q + m      q in 0..15, m float16 per group  (GGUF Q4_1)
enum class WeightFormat : int { f32 = 0, f16 = 1, bf16 = 2, int8 = 3, int4 = 4, int4_offset = 5 };

constexpr int64_t kGroup = 32;   // k per quantisation group
constexpr int64_t kBlock = 16;   // output rows (n) interleaved in one packed block

// Weights as they lie in a checkpoint: n rows of k values, strided so that a memory-mapped GGUF tensor
// can be described without a copy. Strides are in bytes.
//   float formats: `data` + row * row_stride is k contiguous values; group strides are unused.
//   int8:          `data` + row * row_stride + group * group_stride is 32 int8.
//   int4*:         likewise 16 bytes; byte j holds element j in its low and element j + 16 in its high
//                  nibble (GGUF's order).
//   scales and offsets: one float16 at base + row * scale_row_stride + group * scale_group_stride
//                  (need not be aligned).
struct WeightSource {
  WeightFormat format;
  int64_t n, k;
  const void* data;
  int64_t row_stride, group_stride;
  const void* scales = nullptr;
  const void* offsets = nullptr;
  int64_t scale_row_stride = 0, scale_group_stride = 0;
};

// Weights repacked for streaming: blocks of 16 output rows, interleaved for the instruction set, each
// block contiguous and 64-byte aligned; n is padded to a whole block with zero weights. Values are
// unchanged. Immutable once every block has been packed.
class PackedWeight {
 public:
  // Allocates; throws std::invalid_argument when n or k is not positive or, for the quantised formats,
  // k is not a multiple of 32; std::bad_alloc when memory is short.
  PackedWeight(Isa isa, WeightFormat format, int64_t n, int64_t k);
  ~PackedWeight();
  PackedWeight(const PackedWeight&) = delete;
  PackedWeight& operator=(const PackedWeight&) = delete;

  // Packs output blocks [block0, block1) of `source`, which must have this weight's format, n and k.
  void pack(const WeightSource& source, int64_t block0, int64_t block1);

  Isa isa() const { return isa_; }
  WeightFormat format() const { return format_; }
  int64_t n() const { return n_; }
  int64_t k() const { return k_; }
  int64_t blocks() const { return (n_ + kBlock - 1) / kBlock; }
  size_t block_bytes() const { return block_bytes_; }
  size_t bytes() const { return block_bytes_ * static_cast<size_t>(blocks()); }
  const std::byte* block(int64_t b) const { return data_ + block_bytes_ * static_cast<size_t>(b); }

  // out[0..k) = row n of the weights as float32, exactly (embedding look-up, tests).
  void dequantize_row(int64_t n, float* out) const;

 private:
  Isa isa_;
  WeightFormat format_;
  int64_t n_, k_;
  size_t block_bytes_;
  std::byte* data_;
};

// What a product needs its input rows to be.
enum class ActivationFormat : int { f32 = 0, bf16 = 1, int8 = 2 };
ActivationFormat activation_format(Isa isa, WeightFormat format);

// One group of 32 values of an int8 row: x ~ scale * q, with scale = max|x| / 127 in float32 and
// q = x * (127 / max|x|) rounded to nearest even, so never -128. A group whose largest magnitude is below
// 1e-36 counts as zero (scale 0); in a group with an infinity or a NaN all q are 0 and the scale is a
// NaN, which spoils the products of that row. What goes with a group lies beside it because the
// kernels read it together.
struct QuantisedGroup {
  int8_t q[32];
  float scale;
  float scaled_sum;           // scale * sum(q)
  int32_t sum;                // sum(q)
  int32_t minus_8_sum;        // -8 * sum(q), where the sums of int4 begin
};
static_assert(sizeof(QuantisedGroup) == 48, "three 16-byte parts");

// Input rows prepared for a product.
struct Activations {
  ActivationFormat format;
  int64_t rows, k;
  const void* data;           // float, bfloat16 bits or QuantisedGroup
  int64_t row_stride;         // in bytes
};

// Memory for up to `rows` prepared rows of up to `k` values, and the view over it.
class ActivationBuffer {
 public:
  ActivationBuffer(int64_t max_rows, int64_t max_k);
  ~ActivationBuffer();
  ActivationBuffer(const ActivationBuffer&) = delete;
  ActivationBuffer& operator=(const ActivationBuffer&) = delete;
  // Prepares one row: x is k float32. Rows may be prepared by different threads.
  void prepare_row(Isa isa, ActivationFormat format, int64_t row, const float* x, int64_t k);
  // The rows as a product reads them; valid until the next prepare_row.
  Activations view(ActivationFormat format, int64_t rows, int64_t k) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

enum class Store : int {
  assign = 0,   // out = product (+ bias)
  add = 1,      // out = out + (product (+ bias)), the residual stream
};

// out[t * out_stride + n] for t in [row0, row1) and the n of blocks [block0, block1).
// `bias` is n float32 or null. Columns past n() are never written. `a.format` must be
// activation_format(w.isa(), w.format()).
void matmul(const Activations& a, int64_t row0, int64_t row1, const PackedWeight& w, int64_t block0,
            int64_t block1, const float* bias, Store store, float* out, int64_t out_stride);

}  // namespace pagoda
