#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

#include "matmul_kernels.h"
#include "layout.h"
#include "matmul.h"

namespace pagoda {

namespace {

constexpr int64_t kLine = 64;

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

template <typename T>
using Array = std::unique_ptr<T[], Free>;

// At least one element, so that a buffer for no rows is a buffer.
template <typename T>
Array<T> allocate(int64_t count) {
  void* memory = nullptr;
  const int64_t bytes = round_up(count * static_cast<int64_t>(sizeof(T)) + 1, kLine);
  if (posix_memalign(&memory, kLine, static_cast<size_t>(bytes)) != 0) throw std::bad_alloc();
  return Array<T>(static_cast<T*>(memory));
}

int64_t bytes_of_row(ActivationFormat format, int64_t k) {
  switch (format) {
    case ActivationFormat::f32: return k * 4;
    case ActivationFormat::bf16: return round_up(k, 2) * 2;
    default: return k / kGroup * static_cast<int64_t>(sizeof(QuantisedGroup));
  }
}

// Bytes from row to row: whole cache lines, and never a multiple of 4 kB, where the rows of a tile would
// fall on the same few lines of the first-level cache.
int64_t row_stride(ActivationFormat format, int64_t k) {
  const int64_t bytes = round_up(bytes_of_row(format, k), kLine);
  return bytes % 4096 == 0 ? bytes + kLine : bytes;
}

}  // namespace

struct ActivationBuffer::Impl {
  int64_t max_rows, max_k;
  Array<std::byte> data;
};

ActivationBuffer::ActivationBuffer(int64_t max_rows, int64_t max_k) {
  if (max_rows < 0 || max_k < 0) throw std::invalid_argument("activations need rows and k of at least 0");
  // float32 rows are the longest.
  const int64_t bytes = max_rows * row_stride(ActivationFormat::f32, max_k);
  impl_.reset(new Impl{max_rows, max_k, allocate<std::byte>(bytes)});
}

ActivationBuffer::~ActivationBuffer() = default;

void ActivationBuffer::prepare_row(Isa isa, ActivationFormat format, int64_t row, const float* x, int64_t k) {
  if (row < 0 || row >= impl_->max_rows || k < 0 || k > impl_->max_k) {
    throw std::out_of_range("row or k outside the activation buffer");
  }
  std::byte* to = impl_->data.get() + row * row_stride(format, k);
  switch (format) {
    case ActivationFormat::f32: std::memcpy(to, x, static_cast<size_t>(k) * 4); return;
    case ActivationFormat::bf16:
      matmul_kernels_for(isa).round_row(x, k, round_up(k, 2), reinterpret_cast<uint16_t*>(to));
      return;
    case ActivationFormat::int8:
      if (k % kGroup != 0) throw std::invalid_argument("int8 activations need k in groups of 32");
      matmul_kernels_for(isa).quantise_row(x, k / kGroup, reinterpret_cast<QuantisedGroup*>(to));
      return;
  }
}

Activations ActivationBuffer::view(ActivationFormat format, int64_t rows, int64_t k) const {
  if (rows < 0 || rows > impl_->max_rows || k < 0 || k > impl_->max_k) {
    throw std::out_of_range("rows or k outside the activation buffer");
  }
  return {format, rows, k, impl_->data.get(), row_stride(format, k)};
}

}  // namespace pagoda
