#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

#include "matmul_kernels.h"
#include "layout.h"
#include "matmul.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace pagoda {

namespace {

constexpr size_t kLine = 64;
constexpr size_t kHugePage = size_t{2} << 20;

size_t bytes_of_block(WeightFormat format, int64_t k) {
  const size_t count = static_cast<size_t>(k);
  size_t bytes = 0;
  switch (format) {
    case WeightFormat::f32: bytes = count * kBlock * 4; break;
    case WeightFormat::f16: bytes = count * kBlock * 2; break;
    case WeightFormat::bf16: bytes = (count + 1) / 2 * kBlock * 4; break;
    default: bytes = count / kGroup * group_bytes(format); break;
  }
  return (bytes + kLine - 1) / kLine * kLine;
}

// Weights are read end to end for every token, so a page of 2 MB instead of 512 of 4 kB saves most of
// the address translation. A refusal of the advice costs speed alone.
std::byte* allocate(size_t bytes) {
  const size_t alignment = bytes >= kHugePage ? kHugePage : kLine;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, bytes) != 0) throw std::bad_alloc();
#if defined(__linux__)
  if (bytes >= kHugePage) (void)madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  return static_cast<std::byte*>(memory);
}

const std::byte* at(const void* base, int64_t row, int64_t row_stride, int64_t group,
                    int64_t group_stride) {
  return static_cast<const std::byte*>(base) + row * row_stride + group * group_stride;
}

// [rows][k] of `T` -> [k][16], sixteen k at a time so that each source line is used at once.
template <typename T>
void interleave(const WeightSource& s, int64_t row0, int64_t rows, T* out) {
  if (rows < kBlock) std::memset(out, 0, static_cast<size_t>(s.k) * kBlock * sizeof(T));
  for (int64_t k0 = 0; k0 < s.k; k0 += kBlock) {
    const int64_t count = s.k - k0 < kBlock ? s.k - k0 : kBlock;
    for (int64_t o = 0; o < rows; ++o) {
      T values[kBlock];
      std::memcpy(values, at(s.data, row0 + o, s.row_stride, k0, sizeof(T)),
                  static_cast<size_t>(count) * sizeof(T));
      T* to = out + k0 * kBlock + o;
      for (int64_t i = 0; i < count; ++i) to[i * kBlock] = values[i];
    }
  }
}

// [rows][k] of bfloat16 -> [ceil(k/2)][16][2], moved as pairs.
void interleave_pairs(const WeightSource& s, int64_t row0, int64_t rows, uint32_t* out) {
  const int64_t pairs = (s.k + 1) / 2;
  if (rows < kBlock) std::memset(out, 0, static_cast<size_t>(pairs) * kBlock * 4);
  for (int64_t p0 = 0; p0 < pairs; p0 += kBlock) {
    const int64_t count = pairs - p0 < kBlock ? pairs - p0 : kBlock;
    const int64_t values = s.k - 2 * p0 < 2 * count ? s.k - 2 * p0 : 2 * count;
    for (int64_t o = 0; o < rows; ++o) {
      uint32_t pair[kBlock] = {};
      std::memcpy(pair, at(s.data, row0 + o, s.row_stride, 2 * p0, 2), static_cast<size_t>(values) * 2);
      uint32_t* to = out + p0 * kBlock + o;
      for (int64_t i = 0; i < count; ++i) to[i * kBlock] = pair[i];
    }
  }
}

// Quantised groups: words of four codes are moved whole (GGUF's order of nibbles is that of the
// layout), xor-ed with `flip`, and the scales follow the codes. Padding rows have scale zero.
template <int Words>
void interleave_groups(const WeightSource& s, int64_t row0, int64_t rows, uint32_t flip, std::byte* out) {
  const int64_t groups = s.k / kGroup;
  const size_t stride = group_bytes(s.format);
  for (int64_t g = 0; g < groups; ++g, out += stride) {
    alignas(kLine) uint32_t codes[Words][kBlock] = {};
    uint16_t scales[kBlock] = {}, offsets[kBlock] = {};
    for (int64_t o = 0; o < rows; ++o) {
      uint32_t words[Words];
      std::memcpy(words, at(s.data, row0 + o, s.row_stride, g, s.group_stride), sizeof words);
      for (int v = 0; v < Words; ++v) codes[v][o] = words[v] ^ flip;
      std::memcpy(&scales[o], at(s.scales, row0 + o, s.scale_row_stride, g, s.scale_group_stride), 2);
      if (s.offsets) {
        std::memcpy(&offsets[o], at(s.offsets, row0 + o, s.scale_row_stride, g, s.scale_group_stride), 2);
      }
    }
    std::memcpy(out, codes, sizeof codes);
    std::memcpy(out + sizeof codes, scales, kHalves);
    if (s.offsets) std::memcpy(out + sizeof codes + kHalves, offsets, kHalves);
  }
}

template <typename T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

}  // namespace

PackedWeight::PackedWeight(Isa isa, WeightFormat format, int64_t n, int64_t k)
    : isa_(isa), format_(format), n_(n), k_(k), block_bytes_(0), data_(nullptr) {
  constexpr int64_t kMost = int64_t{1} << 31;
  if (n <= 0 || k <= 0 || n > kMost || k > kMost) {
    throw std::invalid_argument("a weight needs positive n and k below 2^31");
  }
  if (is_quantised(format) && k % kGroup != 0) {
    throw std::invalid_argument("a quantised weight needs k in groups of 32");
  }
  (void)matmul_kernels_for(isa);
  block_bytes_ = bytes_of_block(format, k);
  if (block_bytes_ > PTRDIFF_MAX / static_cast<size_t>(blocks())) throw std::bad_alloc();
  data_ = allocate(bytes());
}

PackedWeight::~PackedWeight() { std::free(data_); }

void PackedWeight::pack(const WeightSource& source, int64_t block0, int64_t block1) {
  if (source.format != format_ || source.n != n_ || source.k != k_) {
    throw std::invalid_argument("the source is not of this weight's format and shape");
  }
  const bool offsets = source.offsets != nullptr;
  if (is_quantised(format_) && (!source.scales || offsets != (format_ == WeightFormat::int4_offset))) {
    throw std::invalid_argument("the source lacks scales or offsets, or has offsets it may not have");
  }
  if (block0 < 0 || block1 > blocks()) throw std::out_of_range("blocks outside the weight");
  for (int64_t b = block0; b < block1; ++b) {
    const int64_t row0 = b * kBlock;
    const int64_t rows = n_ - row0 < kBlock ? n_ - row0 : kBlock;
    std::byte* out = data_ + block_bytes_ * static_cast<size_t>(b);
    switch (format_) {
      case WeightFormat::f32: interleave(source, row0, rows, reinterpret_cast<uint32_t*>(out)); break;
      case WeightFormat::f16: interleave(source, row0, rows, reinterpret_cast<uint16_t*>(out)); break;
      case WeightFormat::bf16: interleave_pairs(source, row0, rows, reinterpret_cast<uint32_t*>(out)); break;
      case WeightFormat::int8: interleave_groups<8>(source, row0, rows, 0x80808080u, out); break;
      case WeightFormat::int4:
      case WeightFormat::int4_offset: interleave_groups<4>(source, row0, rows, 0, out); break;
    }
  }
}

void PackedWeight::dequantize_row(int64_t n, float* out) const {
  if (n < 0 || n >= n_) throw std::out_of_range("row outside the weight");
  const std::byte* from = block(n / kBlock);
  const size_t o = static_cast<size_t>(n % kBlock);
  switch (format_) {
    case WeightFormat::f32:
      for (int64_t i = 0; i < k_; ++i) out[i] = load<float>(from + (i * kBlock + o) * 4);
      return;
    case WeightFormat::f16:
      for (int64_t i = 0; i < k_; ++i) out[i] = half_to_float(load<uint16_t>(from + (i * kBlock + o) * 2));
      return;
    case WeightFormat::bf16:
      for (int64_t i = 0; i < k_; ++i) {
        out[i] = bfloat_to_float(load<uint16_t>(from + (i / 2 * kBlock + o) * 4 + i % 2 * 2));
      }
      return;
    default: break;
  }
  const size_t stride = group_bytes(format_);
  for (int64_t g = 0; g < k_ / kGroup; ++g, from += stride, out += kGroup) {
    if (format_ == WeightFormat::int8) {
      const float d = half_to_float(load<uint16_t>(from + kInt8Codes + o * 2));
      for (size_t i = 0; i < kGroup; ++i) {
        out[i] = d * (static_cast<float>(from[i / 4 * 64 + o * 4 + i % 4]) - kInt8Zero);
      }
      continue;
    }
    const float d = half_to_float(load<uint16_t>(from + kInt4Codes + o * 2));
    const bool offset = format_ == WeightFormat::int4_offset;
    const float m = offset ? half_to_float(load<uint16_t>(from + kInt4Codes + kHalves + o * 2)) : 0.0f;
    for (size_t i = 0; i < kGroup / 2; ++i) {
      const int code = static_cast<int>(from[i / 4 * 64 + o * 4 + i % 4]);
      const int low = code & 15, high = code >> 4;
      out[i] = offset ? d * static_cast<float>(low) + m : d * static_cast<float>(low - kInt4Zero);
      out[i + 16] = offset ? d * static_cast<float>(high) + m : d * static_cast<float>(high - kInt4Zero);
    }
  }
}

}  // namespace pagoda
