#include <algorithm>

#include "attention_op.h"

namespace pagoda {

namespace {

// Time of a tile over some keys, in arbitrary units: reading keys and values costs about as much as
// the arithmetic of a few rows.
int64_t cost_of(int64_t rows, int64_t keys) { return (rows + 4) * (keys + kPage); }

}  // namespace

void AttentionPlan::build(const Batch& batch, const AttentionShape& shape, int threads) {
  whole_.clear();
  items_.clear();
  writes_.clear();
  merges_.clear();
  partials_ = 0;
  const int64_t group = shape.group();
  int64_t total = 0;
  for (size_t s = 0; s < batch.sequences.size(); ++s) {
    const Sequence& sequence = batch.sequences[s];
    const int64_t first = sequence.first_position();
    // A single new token whose group fits one tile is written by whoever reads it, without a barrier.
    const bool single = sequence.query_len == 1 && group <= kTileRows;
    if (!single) {
      for (int64_t p = first; p < sequence.context_len;) {
        const int64_t end = std::min((p / kPage + 1) * kPage, sequence.context_len);
        writes_.push_back({static_cast<int32_t>(s), static_cast<int32_t>(p / kPage), static_cast<int32_t>(p),
                           static_cast<int32_t>(end)});
        p = end;
      }
    }
    const int64_t rows = sequence.query_len * group;
    for (int64_t head = 0; head < shape.kv_heads; ++head) {
      for (int64_t row = 0; row < rows; row += kTileRows) {
        const int64_t count = std::min(kTileRows, rows - row);
        const int64_t keys = shape.causal ? first + (row + count - 1) / group + 1 : sequence.context_len;
        const int64_t chunks = (keys + kChunk - 1) / kChunk;
        whole_.push_back({static_cast<int32_t>(s), static_cast<int32_t>(head), static_cast<int32_t>(row),
                          static_cast<int32_t>(count), 0, static_cast<int32_t>(chunks), -1, single,
                          cost_of(count, keys)});
        total += whole_.back().cost;
      }
    }
  }
  // An item that is much of a thread's share is split by chunks, to be merged afterwards.
  for (const Item& item : whole_) {
    if (threads == 1 || item.chunks == 1 || item.cost * threads * 2 <= total) {
      items_.push_back(item);
      continue;
    }
    merges_.push_back({item.sequence, item.kv_head, item.first_row, item.rows,
                       static_cast<int32_t>(partials_), item.chunks});
    for (int32_t c = 0; c < item.chunks; ++c) {
      Item part = item;
      part.first_chunk = c;
      part.chunks = 1;
      part.partial = static_cast<int32_t>(partials_++);
      part.writes = item.writes && c + 1 == item.chunks;
      part.cost = item.cost / item.chunks;
      items_.push_back(part);
    }
  }
  share(threads);
}

// Contiguous shares of nearly equal cost: an item goes to the thread in whose share its middle lies.
void AttentionPlan::share(int threads) {
  int64_t total = 0;
  for (const Item& item : items_) total += item.cost;
  starts_.assign(static_cast<size_t>(threads) + 1, static_cast<int64_t>(items_.size()));
  starts_[0] = 0;
  int64_t before = 0;
  int thread = 0;
  for (size_t i = 0; i < items_.size(); ++i) {
    const int64_t middle = before + items_[i].cost / 2;
    while (thread + 1 < threads && middle * threads >= total * (thread + 1)) {
      starts_[static_cast<size_t>(++thread)] = static_cast<int64_t>(i);
    }
    before += items_[i].cost;
  }
}

}  // namespace pagoda
