// Attention over the paged cache: the fused operation from projected q, k and v rows to attended rows.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "batch.h"
#include "ops.h"
#include "memory.h"
#include "pool.h"

namespace pagoda {

struct AttentionShape {
  int64_t layers, heads, kv_heads, head_dim;
  bool causal = true;   // else every token of a sequence sees all of them

  int64_t group() const { return heads / kv_heads; }
  // Values of one layer and key head in a block: keys, then values.
  int64_t head_values() const { return 2 * kPage * head_dim; }
  int64_t block_values() const { return layers * kv_heads * head_values(); }
};

// The cache: [block][layer][key head][keys, values], bfloat16; the order inside is in ops/attention.h.
// Block after block, so that memory in use grows with the blocks in use.
class PagedCache {
 public:
  PagedCache(const AttentionShape& shape, int64_t num_blocks);

  size_t bytes() const { return memory_.bytes(); }
  uint16_t* keys(int64_t block, int64_t layer, int64_t kv_head) const {
    return memory_.as<uint16_t>() + block * shape_.block_values() +
           (layer * shape_.kv_heads + kv_head) * shape_.head_values();
  }
  uint16_t* values(int64_t block, int64_t layer, int64_t kv_head) const {
    return keys(block, layer, kv_head) + kPage * shape_.head_dim;
  }
  const AttentionShape& shape() const { return shape_; }

 private:
  AttentionShape shape_;
  MappedMemory memory_;
};

// Which thread does which part of a step's attention; the same for every layer.
class AttentionPlan {
 public:
  // Query rows of one key head, all heads of its group, over some chunks of keys. Row r is head
  // r % group of query r / group.
  struct Item {
    int32_t sequence, kv_head;
    int32_t first_row, rows;
    int32_t first_chunk, chunks;
    int32_t partial;       // first of its slots when the chunks are shared between items, else -1
    bool writes;           // also writes the only new key and value of its sequence
    int64_t cost;
  };
  // New tokens of a sequence that lie in one block.
  struct Write {
    int32_t sequence, block;
    int32_t begin, end;    // positions
  };
  // Slots whose partials make up some rows.
  struct Merge {
    int32_t sequence, kv_head, first_row, rows, partial, chunks;
  };

  void build(const Batch& batch, const AttentionShape& shape, int threads);

  const std::vector<Item>& items() const { return items_; }
  const std::vector<Write>& writes() const { return writes_; }
  const std::vector<Merge>& merges() const { return merges_; }
  int64_t partials() const { return partials_; }
  Range items_of(int thread) const { return {starts_[thread], starts_[thread + 1]}; }

 private:
  void share(int threads);

  std::vector<Item> whole_, items_;
  std::vector<Write> writes_;
  std::vector<Merge> merges_;
  std::vector<int64_t> starts_;
  int64_t partials_ = 0;
};

// A thread's memory for attention.
struct AttentionWorkspace {
  AttentionScratch scratch;
  Partial part, total;
  alignas(64) uint16_t queries[kTileRows * kMaxHeadDim];
  alignas(64) uint16_t head[kMaxHeadDim];
};

struct AttentionOp {
  int64_t layer;
  float scale;
  HeadTransform query, key;   // norm weights differ by layer
  const float *q, *k, *v;     // rows, by their strides in values
  float* out;
  int64_t q_stride, k_stride, v_stride, out_stride;
};

class AttentionRunner {
 public:
  AttentionRunner(Isa isa, const AttentionShape& shape, int64_t num_blocks, ThreadPool& pool);

  const PagedCache& cache() const { return cache_; }
  // Once a step, before any run.
  void prepare(const Batch& batch);
  // On every thread of the pool, with claims that are reset before. Rows of `out` are complete after the
  // next barrier.
  void run(const AttentionOp& op, const Batch& batch, int thread, Claims& claims);

 private:
  void write(const AttentionOp& op, const Sequence& sequence, int64_t kv_head, int64_t block, int64_t begin,
             int64_t end, uint16_t* head) const;
  // Asks the memory for what an item reads first.
  void fetch(const AttentionOp& op, const Batch& batch, const AttentionPlan::Item& item) const;
  void attend(const AttentionOp& op, const Batch& batch, Range items, AttentionWorkspace& work);
  void attend(const AttentionOp& op, const Batch& batch, const AttentionPlan::Item& item, AttentionWorkspace& work);
  void join(const AttentionOp& op, const Batch& batch, const AttentionPlan::Merge& merge, AttentionWorkspace& work);
  // The last key that a query at `position` sees.
  int64_t last_key(const Sequence& sequence, int64_t position) const {
    return shape_.causal ? position : sequence.context_len - 1;
  }
  float* out_row(const AttentionOp& op, const Sequence& sequence, int64_t kv_head, int64_t row) const;

  OpKernels ops_;
  AttentionShape shape_;
  PagedCache cache_;
  ThreadPool& pool_;
  AttentionPlan plan_;
  std::vector<std::unique_ptr<AttentionWorkspace>> workspaces_;
  std::vector<Partial> partials_;
};

}  // namespace pagoda
