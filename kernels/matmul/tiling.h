// The walk over rows and blocks, shared by the instruction sets. Internal linkage: each file that
// includes it gets its own copy, compiled for its own instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "matmul_kernels.h"
#include "layout.h"

namespace pagoda {
namespace {

// A few rows by a few adjacent blocks: what a microkernel computes over the whole of k.
struct Tile {
  const std::byte* x;            // first row's values
  int64_t x_stride;              // bytes from row to row
  const std::byte* weight;       // first block
  size_t block_bytes;
  int64_t k;
  const float* bias;             // at the first column, or null
  float* out;                    // first row, first column
  int64_t out_stride;
  int64_t columns;               // that exist, at most 16 per block
  const std::byte* ahead;        // this tile's share of the weights to prefetch,
  int64_t ahead_lines;           // and how many cache lines of it every kStepK of k
  Store store;
};

// The activations of a tile's rows, as one pointer for every three rows: with a pointer each, or one for
// all, compilers run out of registers or compute addresses anew for each load.
template <int Rows>
struct RowPointers {
  static constexpr int kCount = (Rows + 2) / 3;
  const std::byte* third[kCount];
  int64_t stride;

  explicit RowPointers(const Tile& tile) : stride(tile.x_stride) {
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) {
      third[i] = tile.x + 3 * i * tile.x_stride;
#if defined(__GNUC__)
      __asm__("" : "+r"(third[i]));  // hides that they are one pointer and multiples of a stride
#endif
    }
  }
  const std::byte* operator[](int row) const { return third[row / 3] + row % 3 * stride; }
  void advance(int64_t bytes) {
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) third[i] += bytes;
  }
};

template <class Kernel, int Blocks, int Rows>
void call(int rows, const Tile& tile) {
  if (rows == Rows) {
    Kernel::template run<Rows, Blocks>(tile);
  } else if constexpr (Rows > 1) {
    call<Kernel, Blocks, Rows - 1>(rows, tile);
  }
}

// The most rows whose tiles `Blocks` blocks wide this kernel is built for.
template <class Kernel, int Blocks>
constexpr int rows_for() {
  return Blocks == 1 ? Kernel::kRows : Blocks == 2 ? Kernel::kRowsOfTwo : Kernel::kRowsOfFour;
}

template <class Kernel>
void call(int rows, int blocks, const Tile& tile) {
  if (blocks == 4) {
    if constexpr (Kernel::kRowsOfFour > 0) call<Kernel, 4, rows_for<Kernel, 4>()>(rows, tile);
  } else if (blocks == 2) {
    if constexpr (Kernel::kRowsOfTwo > 0) call<Kernel, 2, rows_for<Kernel, 2>()>(rows, tile);
  } else {
    call<Kernel, 1, rows_for<Kernel, 1>()>(rows, tile);
  }
}

// Kernel::kRows is the most rows of a tile, kRowsOfTwo and kRowsOfFour the most of a tile two and four
// blocks wide (0: never that wide), and Kernel::width(tiles, rows) how many blocks wide the tiles are when
// there are so many below each other, of at most so many rows. Every Kernel::kStepK of k it prefetches.
//
// Rows are taken in panels whose activations stay in the second-level cache. Inside a panel each block (or
// few) of weights is used by all row tiles before the next is read, and each tile prefetches its share
// of the next, so that reading and computing overlap.
template <class Kernel>
void multiply(const Product& p) {
  constexpr int64_t kPanelBytes = 384 * 1024, kLine = 64;
  constexpr int64_t kMost = Kernel::kRows;
  const int64_t row_bytes = p.a.row_stride;
  const int64_t block_bytes = static_cast<int64_t>(p.block_bytes);
  int64_t panel = kPanelBytes / row_bytes / kMost * kMost;
  if (panel < kMost) panel = kMost;

  for (int64_t first = p.row0; first < p.row1; first += panel) {
    const int64_t rows = p.row1 - first < panel ? p.row1 - first : panel;
    const int64_t tiles = (rows + kMost - 1) / kMost;
    const int64_t least = rows / tiles, larger = rows % tiles;  // `larger` tiles have one row more
    const int64_t wide = Kernel::width(tiles, least + (larger > 0));
    const int64_t steps = tiles * ((p.k + Kernel::kStepK - 1) / Kernel::kStepK);
    for (int64_t b = p.block0, width; b < p.block1; b += width) {
      width = wide;
      while (width > p.block1 - b) width /= 2;
      const int64_t column = b * kBlock;
      Tile tile{};
      tile.x_stride = row_bytes;
      tile.weight = p.weight + block_bytes * b;
      tile.block_bytes = p.block_bytes;
      tile.k = p.k;
      tile.bias = p.bias ? p.bias + column : nullptr;
      tile.out_stride = p.out_stride;
      tile.columns = p.n - column < width * kBlock ? p.n - column : width * kBlock;
      tile.store = p.store;
      // Four streams are too many for more to be asked for; the hardware follows them by itself.
      const int64_t left = p.block1 - b - width, next = left < width ? left : width;
      const int64_t next_lines = width == 4 ? 0 : next * block_bytes / kLine;
      tile.ahead = tile.weight + block_bytes * width;
      tile.ahead_lines = (next_lines + steps - 1) / steps;
      int64_t row = first;
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t count = least + (t < larger);
        tile.x = static_cast<const std::byte*>(p.a.data) + row * row_bytes;
        tile.out = p.out + row * p.out_stride + column;
        call<Kernel>(static_cast<int>(count), static_cast<int>(width), tile);
        row += count;
        tile.ahead += next_lines * kLine / tiles;
      }
    }
  }
}

}  // namespace
}  // namespace pagoda
