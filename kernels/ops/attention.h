// Attention of a tile of query rows over one chunk of cached keys, over the sixteen-lane vectors of the
// including file's instruction set. Internal linkage.
//
// A cache block holds, for one layer and key head, keys as [head_dim / 2][32 keys][2] and values as
// [16 pairs of keys][head_dim][2], both bfloat16: the operands of a pairwise dot product as they are.
//
// Keys are taken in chunks of 256 at fixed positions: all scores of a chunk, their highest, the weights,
// then the weighted values with the sums in registers. Chunks are merged in ascending order. So the
// arithmetic for a query depends on its position alone, not on what shares its tile, on how its tokens
// were split into steps, or on which thread takes which chunk.
#pragma once

#include <cstdint>
#include <cstring>

#include "ops.h"
#include "row_ops.h"

namespace pagoda {
namespace {

// What a pass over a block's keys asks the memory for meanwhile: the block's values and the next block's
// keys. Blocks lie apart, so the hardware does not foresee them.
struct Ahead {
  const uint16_t *values, *next_keys;
};

// scores[row][0 .. 16 * Vectors) of `Rows` rows with adjacent keys of one block. Few rows wait for memory
// (many sequences, one token each); many rows use what is in the cache.
template <int Rows, int Vectors>
inline void score_tile(const uint16_t* queries, int64_t head_dim, const uint16_t* keys, const Ahead& ahead,
                       float* scores) {
  constexpr bool kPrefetch = Rows * 2 <= kScoreRows;
  Vec sum[Rows][Vectors];
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < Vectors; ++v) sum[r][v] = fill(0.0f);
  }
  for (int64_t d = 0; d < head_dim; d += 2) {
    const int64_t at = d * kPage;
    Pairs key[Vectors];
    for (int v = 0; v < Vectors; ++v) {
      key[v] = load_pairs(keys + at + v * 2 * kLanes);
      if constexpr (kPrefetch) {
        __builtin_prefetch(ahead.values + at + v * 2 * kLanes);
        __builtin_prefetch(ahead.next_keys + at + v * 2 * kLanes);
      }
    }
    for (int r = 0; r < Rows; ++r) {
      const Pairs query = fill_pairs(queries + r * head_dim + d);
      for (int v = 0; v < Vectors; ++v) sum[r][v] = dot_pairs(sum[r][v], key[v], query);
    }
  }
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < Vectors; ++v) store(scores + r * kChunk + v * kLanes, sum[r][v]);
  }
}

template <int Rows>
void score_rows(int64_t rows, const uint16_t* queries, int64_t head_dim, const uint16_t* keys,
                const Ahead& ahead, float* scores) {
  if (rows < Rows) {
    if constexpr (Rows > 1) score_rows<Rows - 1>(rows, queries, head_dim, keys, ahead, scores);
    return;
  }
  for (int64_t key = 0; key < kPage; key += kLanes * kScoreVectors) {
    const Ahead here{ahead.values + 2 * key, ahead.next_keys + 2 * key};
    score_tile<Rows, kScoreVectors>(queries, head_dim, keys + 2 * key, here, scores + key);
  }
}

// Scores of one row become weights exp(scale * (score - highest)), bfloat16, zero from `count` on.
// Their sum is that of the rounded weights, so that weights still add up to one.
inline void soften(const float* scores, int64_t count, int64_t padded, float scale, uint16_t* weights,
                   float& highest, float& sum) {
  constexpr float kLow = -__builtin_inff();
  Vec most = fill(kLow);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) most = largest(most, load(scores + i));
  if (i < count) most = largest(most, keep_first(load(scores + i), count - i, kLow));
  highest = largest_of(most) * scale;
  const Vec factor = fill(scale), shift = fill(-highest);
  Vec total = fill(0.0f);
  for (i = 0; i < count; i += kLanes) {
    Vec weight = exponential(multiply_add(load(scores + i), factor, shift));
    if (count - i < kLanes) weight = keep_first(weight, count - i, 0.0f);
    total = total + store_bfloat(weights + i, weight);
  }
  if (i < padded) std::memset(weights + i, 0, static_cast<size_t>(padded - i) * sizeof *weights);
  sum = sum_of(total);
}

// weighted[row][0 .. 16 * Vectors) of `Rows` rows over all blocks of the chunk.
template <int Rows, int Vectors>
void weigh_tile(const AttentionTile& tile, int64_t first_block, int64_t blocks, int64_t dim,
                const uint16_t* weights, float* weighted) {
  Vec sum[Rows][Vectors];
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < Vectors; ++v) sum[r][v] = fill(0.0f);
  }
  for (int64_t b = 0; b < blocks; ++b) {
    const uint16_t* values =
        tile.cache + tile.blocks[first_block + b] * tile.block_stride + tile.value_offset + 2 * dim;
    const uint16_t* weight = weights + b * kPage;
    for (int64_t pair = 0; pair < kPage / 2; ++pair, values += 2 * tile.head_dim, weight += 2) {
      Pairs value[Vectors];
      for (int v = 0; v < Vectors; ++v) value[v] = load_pairs(values + v * 2 * kLanes);
      for (int r = 0; r < Rows; ++r) {
        const Pairs w = fill_pairs(weight + r * kChunk);
        for (int v = 0; v < Vectors; ++v) sum[r][v] = dot_pairs(sum[r][v], value[v], w);
      }
    }
  }
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < Vectors; ++v) store(weighted + r * tile.head_dim + dim + v * kLanes, sum[r][v]);
  }
}

template <int Rows>
void weigh_rows(int64_t rows, const AttentionTile& tile, int64_t first_block, int64_t blocks,
                const uint16_t* weights, float* weighted) {
  if (rows < Rows) {
    if constexpr (Rows > 1) weigh_rows<Rows - 1>(rows, tile, first_block, blocks, weights, weighted);
    return;
  }
  int64_t dim = 0;
  for (; dim + kLanes * kValueVectors <= tile.head_dim; dim += kLanes * kValueVectors) {
    weigh_tile<Rows, kValueVectors>(tile, first_block, blocks, dim, weights, weighted);
  }
  for (; dim < tile.head_dim; dim += kLanes) {
    weigh_tile<Rows, 1>(tile, first_block, blocks, dim, weights, weighted);
  }
}

void attention_chunk(const AttentionTile& tile, int64_t first, AttentionScratch& scratch, Partial& out) {
  int64_t last = 0;
  for (int64_t r = 0; r < tile.rows; ++r) last = tile.last[r] > last ? tile.last[r] : last;
  const int64_t end = last + 1 < first + kChunk ? last + 1 : first + kChunk;
  const int64_t first_block = first / kPage;
  const int64_t blocks = (end - first + kPage - 1) / kPage;

  for (int64_t b = 0; b < blocks; ++b) {
    const uint16_t* keys = tile.cache + tile.blocks[first_block + b] * tile.block_stride;
    const uint16_t* next = b + 1 < blocks ? tile.cache + tile.blocks[first_block + b + 1] * tile.block_stride : keys;
    const Ahead ahead{keys + tile.value_offset, next};
    for (int64_t r = 0; r < tile.rows; r += kScoreRows) {
      const int64_t rows = tile.rows - r < kScoreRows ? tile.rows - r : kScoreRows;
      score_rows<kScoreRows>(rows, tile.queries + r * tile.head_dim, tile.head_dim, keys,
                             ahead, scratch.scores + r * kChunk + b * kPage);
    }
  }
  for (int64_t r = 0; r < tile.rows; ++r) {
    const int64_t seen = tile.last[r] + 1 - first;
    const int64_t count = seen < 0 ? 0 : seen < end - first ? seen : end - first;
    soften(scratch.scores + r * kChunk, count, blocks * kPage, tile.scale, scratch.weights + r * kChunk,
           out.highest[r], out.sum[r]);
  }
  for (int64_t r = 0; r < tile.rows; r += kValueRows) {
    const int64_t rows = tile.rows - r < kValueRows ? tile.rows - r : kValueRows;
    weigh_rows<kValueRows>(rows, tile, first_block, blocks, scratch.weights + r * kChunk,
                           out.weighted + r * tile.head_dim);
  }
}

void merge(float& highest, float& sum, float* weighted, float part_highest, float part_sum,
           const float* part_weighted, int64_t head_dim) {
  const float most = highest > part_highest ? highest : part_highest;
  const Vec mine = exponential(fill(highest - most)), other = exponential(fill(part_highest - most));
  float both[2 * kLanes];
  store(both, mine);
  store(both + kLanes, other);
  highest = most;
  sum = sum * both[0] + part_sum * both[kLanes];
  for (int64_t d = 0; d < head_dim; d += kLanes) {
    store(weighted + d, multiply_add(load(part_weighted + d), other, load(weighted + d) * mine));
  }
}

void finish(const float* weighted, float sum, int64_t head_dim, float* out) {
  const Vec total = fill(sum);
  for (int64_t d = 0; d < head_dim; d += kLanes) store(out + d, load(weighted + d) / total);
}

}  // namespace
}  // namespace pagoda
