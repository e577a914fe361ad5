#include "product_op.h"

#include <algorithm>

namespace pagoda {

namespace {

// Steps of at most this many input values are prepared by every thread for itself: cheaper than a
// barrier after sharing the work.
constexpr int64_t kOwnValues = 4096;
constexpr int64_t kMostOwnRows = 8;

bool prepared_alone(int64_t rows, int64_t k, int threads) {
  return threads == 1 || (rows <= kMostOwnRows && (rows == 1 || rows * k <= kOwnValues));
}

// How many row ranges the threads form; the rest of the division is over columns (blocks of outputs).
// A thread's time is about its blocks times its rows, plus reading the blocks.
int64_t row_parts(int64_t rows, int64_t blocks, int64_t threads) {
  constexpr int64_t kReading = 8;   // a block is read in the time of about so many rows
  int64_t best = 1, least = INT64_MAX;
  for (int64_t parts = 1; parts <= std::min(threads, rows); ++parts) {
    if (threads % parts != 0) continue;
    const int64_t columns = threads / parts;
    const int64_t cost = ((blocks + columns - 1) / columns) * ((rows + parts - 1) / parts + kReading);
    if (cost < least) {
      least = cost;
      best = parts;
    }
  }
  return best;
}

// The part of [begin, begin + size) inside [low, high), relative to begin and in units of `unit`.
Range clip(int64_t low, int64_t high, int64_t begin, int64_t size, int64_t unit) {
  const int64_t from = std::clamp(low - begin, int64_t{0}, size), to = std::clamp(high - begin, int64_t{0}, size);
  return {(from + unit / 2) / unit, (to + unit / 2) / unit};
}

}  // namespace

ProductRunner::ProductRunner(Isa isa, int64_t max_rows, int64_t max_k, const std::array<bool, 3>& formats,
                             ThreadPool& pool)
    : isa_(isa), ops_(ops_for(isa)), pool_(pool) {
  const auto allocate = [&](Prepared& prepared, int64_t rows) {
    for (size_t f = 0; f < formats.size(); ++f) {
      if (formats[f]) prepared.formats[f] = std::make_unique<ActivationBuffer>(rows, max_k);
    }
  };
  allocate(shared_, max_rows);
  for (int i = 0; i < pool.size(); ++i) {
    workspaces_.push_back(std::make_unique<Workspace>());
    allocate(workspaces_.back()->rows, pool.size() == 1 ? max_rows : std::min(max_rows, kMostOwnRows));
    workspaces_.back()->normed.resize(static_cast<size_t>(max_k));
  }
}

void ProductRunner::prepare(const ProductOp& op, const Batch& batch, int64_t row, Prepared& to,
                            float* normed) const {
  const int64_t from = op.selected ? batch.input.logits_rows[row] : row;
  const float* x = op.input.data + from * op.input.stride;
  if (op.norm) {
    ops_.rms_norm(x, op.norm, op.norm_eps, op.k, normed);
    x = normed;
  }
  std::array<bool, 3> done{};
  for (const ProductOp::Part& part : op.parts) {
    const ActivationFormat format = activation_format(isa_, part.weight->format());
    const auto index = static_cast<size_t>(format);
    if (done[index]) continue;
    done[index] = true;
    to.formats[index]->prepare_row(isa_, format, row, x, op.k);
  }
}

void ProductRunner::run(const ProductOp& op, const Batch& batch, int thread) {
  Workspace& work = *workspaces_[static_cast<size_t>(thread)];
  const int64_t rows = op.rows(batch);
  if (rows == 0) return;
  if (prepared_alone(rows, op.k, pool_.size())) {
    for (int64_t row = 0; row < rows; ++row) prepare(op, batch, row, work.rows, work.normed.data());
    multiply(op, work.rows, rows, thread);
    return;
  }
  const Range mine = share_of(rows, thread, pool_.size());
  for (int64_t row = mine.begin; row < mine.end; ++row) prepare(op, batch, row, shared_, work.normed.data());
  pool_.barrier(thread);
  multiply(op, shared_, rows, thread);
}

void ProductRunner::multiply(const ProductOp& op, const Prepared& rows, int64_t count, int thread) const {
  int64_t blocks = 0;
  for (const ProductOp::Part& part : op.parts) blocks += part.weight->blocks();
  if (op.gated) blocks /= 2;
  const int64_t parts = row_parts(count, blocks, pool_.size()), columns = pool_.size() / parts;
  const Range mine = share_of(count, thread / columns, parts);
  if (mine.begin == mine.end) return;
  if (op.gated) {
    multiply_gated(op, rows, mine, thread % columns, columns);
  } else {
    multiply_plain(op, rows, mine, thread % columns, columns);
  }
}

void ProductRunner::multiply_plain(const ProductOp& op, const Prepared& rows, Range mine, int64_t column,
                                   int64_t columns) const {
  // Shares are of bytes, so that parts of different formats take the same time.
  int64_t total = 0;
  for (const ProductOp::Part& part : op.parts) total += static_cast<int64_t>(part.weight->bytes());
  const Range share = share_of(total, column, columns);
  int64_t begin = 0;
  for (const ProductOp::Part& part : op.parts) {
    const PackedWeight& weight = *part.weight;
    const auto size = static_cast<int64_t>(weight.bytes());
    const Range blocks = clip(share.begin, share.end, begin, size, static_cast<int64_t>(weight.block_bytes()));
    begin += size;
    if (blocks.begin == blocks.end) continue;
    const ActivationFormat format = activation_format(isa_, weight.format());
    const Activations x = rows.formats[static_cast<size_t>(format)]->view(format, mine.end, op.k);
    matmul(x, mine.begin, mine.end, weight, blocks.begin, blocks.end, part.bias, part.store, part.out.data,
           part.out.stride);
  }
}

// Gate and up are computed over a few blocks and rows at a time, and the activation applied while both
// are in the first or second level cache.
void ProductRunner::multiply_gated(const ProductOp& op, const Prepared& rows, Range mine, int64_t column,
                                   int64_t columns) const {
  constexpr int64_t kRows = 256, kBlocks = 8;
  const ProductOp::Part &gate = op.parts[0], &up = op.parts[1];
  const int64_t n = gate.weight->n();
  const Range share = share_of(gate.weight->blocks(), column, columns);
  // A single row has no tile to reuse: each weight is then read in one go.
  const int64_t step = mine.end - mine.begin == 1 ? std::max(share.end - share.begin, int64_t{1}) : kBlocks;
  for (int64_t r0 = mine.begin; r0 < mine.end; r0 += kRows) {
    const int64_t r1 = std::min(r0 + kRows, mine.end);
    for (int64_t b0 = share.begin; b0 < share.end; b0 += step) {
      const int64_t b1 = std::min(b0 + step, share.end);
      for (const ProductOp::Part* part : {&gate, &up}) {
        const ActivationFormat format = activation_format(isa_, part->weight->format());
        const Activations x = rows.formats[static_cast<size_t>(format)]->view(format, r1, op.k);
        matmul(x, r0, r1, *part->weight, b0, b1, part->bias, Store::assign, part->out.data, part->out.stride);
      }
      const int64_t first = b0 * kBlock, count = std::min(b1 * kBlock, n) - first;
      for (int64_t row = r0; row < r1; ++row) {
        ops_.silu_multiply(gate.out.data + row * gate.out.stride + first, up.out.data + row * up.out.stride + first,
                           count);
      }
    }
  }
}

}  // namespace pagoda
