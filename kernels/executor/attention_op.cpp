#include "attention_op.h"

#include <algorithm>
#include <cstring>

namespace pagoda {

namespace {

// Up to so many items a thread are shared out beforehand by their cost; more are claimed.
constexpr int64_t kFewItems = 8;

}  // namespace

PagedCache::PagedCache(const AttentionShape& shape, int64_t num_blocks)
    : shape_(shape),
      memory_(static_cast<size_t>(num_blocks * shape.block_values()) * sizeof(uint16_t), true) {}

AttentionRunner::AttentionRunner(Isa isa, const AttentionShape& shape, int64_t num_blocks, ThreadPool& pool)
    : ops_(ops_for(isa)), shape_(shape), cache_(shape, num_blocks), pool_(pool) {
  for (int i = 0; i < pool.size(); ++i) workspaces_.push_back(std::make_unique<AttentionWorkspace>());
}

void AttentionRunner::prepare(const Batch& batch) {
  plan_.build(batch, shape_, pool_.size());
  if (static_cast<int64_t>(partials_.size()) < plan_.partials()) {
    partials_ = std::vector<Partial>(static_cast<size_t>(plan_.partials()));
  }
}

void AttentionRunner::run(const AttentionOp& op, const Batch& batch, int thread, Claims& claims) {
  AttentionWorkspace& work = *workspaces_[static_cast<size_t>(thread)];
  if (!plan_.writes().empty()) {
    const int64_t count = static_cast<int64_t>(plan_.writes().size()) * shape_.kv_heads;
    const Range mine = share_of(count, thread, pool_.size());
    for (int64_t i = mine.begin; i < mine.end; ++i) {
      const AttentionPlan::Write& w = plan_.writes()[static_cast<size_t>(i / shape_.kv_heads)];
      write(op, batch.sequences[static_cast<size_t>(w.sequence)], i % shape_.kv_heads, w.block, w.begin, w.end,
            work.head);
    }
    pool_.barrier(thread);
  }
  const auto items = static_cast<int64_t>(plan_.items().size());
  if (items < kFewItems * pool_.size()) {
    attend(op, batch, plan_.items_of(thread), work);
  } else {
    for (Range mine = claims.claim(items, pool_.size()); mine.begin < mine.end;
         mine = claims.claim(items, pool_.size())) {
      attend(op, batch, mine, work);
    }
  }
  if (!plan_.merges().empty()) {
    pool_.barrier(thread);
    const Range joins = share_of(static_cast<int64_t>(plan_.merges().size()), thread, pool_.size());
    for (int64_t i = joins.begin; i < joins.end; ++i) {
      join(op, batch, plan_.merges()[static_cast<size_t>(i)], work);
    }
  }
}

void AttentionRunner::write(const AttentionOp& op, const Sequence& sequence, int64_t kv_head, int64_t block,
                            int64_t begin, int64_t end, uint16_t* head) const {
  const int64_t dim = shape_.head_dim;
  const int64_t id = sequence.blocks[block];
  uint16_t* keys = cache_.keys(id, op.layer, kv_head);
  uint16_t* values = cache_.values(id, op.layer, kv_head);
  // A block taken over from another sequence may hold anything in the values that are not written yet;
  // their weights are zero, but zero times infinity is not.
  if (begin % kPage == 0) std::memset(values, 0, static_cast<size_t>(kPage * dim) * sizeof *values);
  for (int64_t p = begin; p < end; ++p) {
    const int64_t row = sequence.first_row + p - sequence.first_position();
    const int64_t slot = p % kPage;
    ops_.transform_head(op.key, op.k + row * op.k_stride + kv_head * dim, p, head);
    for (int64_t d = 0; d < dim; d += 2) std::memcpy(keys + d * kPage + 2 * slot, head + d, 2 * sizeof *head);
    ops_.round_values(op.v + row * op.v_stride + kv_head * dim, dim, head);
    uint16_t* pair = values + slot / 2 * (2 * dim) + slot % 2;
    for (int64_t d = 0; d < dim; ++d) pair[2 * d] = head[d];
  }
}

float* AttentionRunner::out_row(const AttentionOp& op, const Sequence& sequence, int64_t kv_head,
                                int64_t row) const {
  const int64_t head = kv_head * shape_.group() + row % shape_.group();
  return op.out + (sequence.first_row + row / shape_.group()) * op.out_stride + head * shape_.head_dim;
}

void AttentionRunner::attend(const AttentionOp& op, const Batch& batch, Range items, AttentionWorkspace& work) {
  for (int64_t i = items.begin; i < items.end; ++i) {
    if (i + 1 < items.end) fetch(op, batch, plan_.items()[static_cast<size_t>(i + 1)]);
    attend(op, batch, plan_.items()[static_cast<size_t>(i)], work);
  }
}

void AttentionRunner::fetch(const AttentionOp& op, const Batch& batch, const AttentionPlan::Item& item) const {
  constexpr int64_t kLine = 64;
  const Sequence& sequence = batch.sequences[static_cast<size_t>(item.sequence)];
  const int64_t dim = shape_.head_dim, group = shape_.group();
  for (int64_t row = item.first_row; row < item.first_row + item.rows; ++row) {
    const int64_t head = item.kv_head * group + row % group;
    const float* q = op.q + (sequence.first_row + row / group) * op.q_stride + head * dim;
    for (int64_t d = 0; d < dim; d += kLine / 4) __builtin_prefetch(q + d);
  }
  if (sequence.query_len > 1) return;  // neighbouring tiles share their keys
  const uint16_t* keys = cache_.keys(sequence.blocks[item.first_chunk * (kChunk / kPage)], op.layer, item.kv_head);
  for (int64_t at = 0; at < kPage * dim; at += kLine / 2) __builtin_prefetch(keys + at);
}

void AttentionRunner::attend(const AttentionOp& op, const Batch& batch, const AttentionPlan::Item& item,
                             AttentionWorkspace& work) {
  const Sequence& sequence = batch.sequences[static_cast<size_t>(item.sequence)];
  const int64_t dim = shape_.head_dim, group = shape_.group();
  if (item.writes) {
    const int64_t p = sequence.first_position();
    write(op, sequence, item.kv_head, p / kPage, p, p + 1, work.head);
  }
  int32_t last[kTileRows];
  for (int64_t r = 0; r < item.rows; ++r) {
    const int64_t row = item.first_row + r;
    const int64_t position = sequence.first_position() + row / group;
    const int64_t head = item.kv_head * group + row % group;
    last[r] = static_cast<int32_t>(last_key(sequence, position));
    ops_.transform_head(op.query, op.q + (sequence.first_row + row / group) * op.q_stride + head * dim, position,
                        work.queries + r * dim);
  }
  AttentionTile tile{};
  tile.rows = item.rows;
  tile.head_dim = dim;
  tile.queries = work.queries;
  tile.last = last;
  tile.blocks = sequence.blocks;
  tile.cache = cache_.keys(0, op.layer, item.kv_head);
  tile.block_stride = shape_.block_values();
  tile.value_offset = kPage * dim;
  tile.scale = op.scale;
  if (item.partial >= 0) {
    ops_.attention_chunk(tile, item.first_chunk * kChunk, work.scratch, partials_[static_cast<size_t>(item.partial)]);
    return;
  }
  ops_.attention_chunk(tile, 0, work.scratch, work.total);
  for (int64_t c = 1; c < item.chunks; ++c) {
    ops_.attention_chunk(tile, c * kChunk, work.scratch, work.part);
    for (int64_t r = 0; r < item.rows; ++r) {
      if (last[r] < c * kChunk) continue;
      ops_.merge(work.total.highest[r], work.total.sum[r], work.total.weighted + r * dim, work.part.highest[r],
                 work.part.sum[r], work.part.weighted + r * dim, dim);
    }
  }
  for (int64_t r = 0; r < item.rows; ++r) {
    ops_.finish(work.total.weighted + r * dim, work.total.sum[r], dim,
                out_row(op, sequence, item.kv_head, item.first_row + r));
  }
}

void AttentionRunner::join(const AttentionOp& op, const Batch& batch, const AttentionPlan::Merge& merge,
                           AttentionWorkspace& work) {
  const Sequence& sequence = batch.sequences[static_cast<size_t>(merge.sequence)];
  const int64_t dim = shape_.head_dim;
  for (int64_t r = 0; r < merge.rows; ++r) {
    const int64_t last = last_key(sequence, sequence.first_position() + (merge.first_row + r) / shape_.group());
    const Partial& first = partials_[static_cast<size_t>(merge.partial)];
    float highest = first.highest[r], sum = first.sum[r];
    float* weighted = work.total.weighted;
    std::copy_n(first.weighted + r * dim, dim, weighted);
    for (int64_t c = 1; c < merge.chunks && c * kChunk <= last; ++c) {
      const Partial& part = partials_[static_cast<size_t>(merge.partial + c)];
      ops_.merge(highest, sum, weighted, part.highest[r], part.sum[r], part.weighted + r * dim, dim);
    }
    ops_.finish(weighted, sum, dim, out_row(op, sequence, merge.kv_head, merge.first_row + r));
  }
}

}  // namespace pagoda
