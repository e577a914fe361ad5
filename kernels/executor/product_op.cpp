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

constexpr int64_t kPanelRows = 192;   // prepared rows of a panel stay in the second level cache
constexpr int64_t kUnitBlocks = 2;    // columns are claimed in pairs of blocks, which kernels take together
constexpr int64_t kGatedBlocks = 8;   // gate and up of so many blocks stay in the cache for the activation

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

void ProductRunner::prepare(const ProductOp& op, int64_t row, Prepared& to, float* normed) const {
  const float* x = op.input.data + row * op.input.stride;
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

void ProductRunner::run(const ProductOp& op, const Batch& batch, int thread, Claims& claims) {
  Workspace& work = *workspaces_[static_cast<size_t>(thread)];
  const int64_t rows = op.rows(batch);
  if (rows == 0) return;
  if (prepared_alone(rows, op.k, pool_.size())) {
    for (int64_t row = 0; row < rows; ++row) prepare(op, row, work.rows, work.normed.data());
    if (rows <= kMostOwnRows) {
      stream(op, work.rows, rows, thread);
    } else {
      multiply(op, work.rows, rows, claims);
    }
    return;
  }
  const Range mine = share_of(rows, thread, pool_.size());
  for (int64_t row = mine.begin; row < mine.end; ++row) prepare(op, row, shared_, work.normed.data());
  pool_.barrier(thread);
  if (rows <= kMostOwnRows) {
    stream(op, shared_, rows, thread);
  } else {
    multiply(op, shared_, rows, claims);
  }
}

void ProductRunner::stream(const ProductOp& op, const Prepared& rows, int64_t count, int thread) const {
  const Range panel{0, count};
  if (op.gated) {
    multiply_gated(op, rows, panel, share_of(op.parts[0].weight->blocks(), thread, pool_.size()));
    return;
  }
  int64_t total = 0, begin = 0;
  for (const ProductOp::Part& part : op.parts) total += static_cast<int64_t>(part.weight->bytes());
  const Range share = share_of(total, thread, pool_.size());
  for (const ProductOp::Part& part : op.parts) {
    const auto size = static_cast<int64_t>(part.weight->bytes());
    const auto unit = static_cast<int64_t>(part.weight->block_bytes());
    multiply(part, rows, panel, clip(share.begin, share.end, begin, size, unit), op.k);
    begin += size;
  }
}

void ProductRunner::multiply(const ProductOp& op, const Prepared& rows, int64_t count, Claims& claims) const {
  int64_t blocks = 0;
  for (const ProductOp::Part& part : op.parts) blocks += part.weight->blocks();
  if (op.gated) blocks /= 2;
  // Panel after panel, so that threads work on the same rows.
  const int64_t panels = (count + kPanelRows - 1) / kPanelRows, units = (blocks + kUnitBlocks - 1) / kUnitBlocks;
  const int64_t total = panels * units;
  for (Range mine = claims.claim(total, pool_.size()); mine.begin < mine.end;
       mine = claims.claim(total, pool_.size())) {
    while (mine.begin < mine.end) {
      const int64_t panel = mine.begin / units, first = mine.begin % units;
      const int64_t last = std::min(units, first + mine.end - mine.begin);
      multiply(op, rows, share_of(count, panel, panels), {first * kUnitBlocks, std::min(last * kUnitBlocks, blocks)});
      mine.begin += last - first;
    }
  }
}

// `blocks` counts through all parts, one after another.
void ProductRunner::multiply(const ProductOp& op, const Prepared& rows, Range panel, Range blocks) const {
  if (op.gated) {
    multiply_gated(op, rows, panel, blocks);
    return;
  }
  int64_t begin = 0;
  for (const ProductOp::Part& part : op.parts) {
    const int64_t size = part.weight->blocks();
    multiply(part, rows, panel, clip(blocks.begin, blocks.end, begin, size, 1), op.k);
    begin += size;
  }
}

void ProductRunner::multiply(const ProductOp::Part& part, const Prepared& rows, Range panel, Range blocks,
                             int64_t k) const {
  if (blocks.begin >= blocks.end) return;
  const ActivationFormat format = activation_format(isa_, part.weight->format());
  const Activations x = rows.formats[static_cast<size_t>(format)]->view(format, panel.end, k);
  matmul(x, panel.begin, panel.end, *part.weight, blocks.begin, blocks.end, part.bias, part.store, part.out.data,
         part.out.stride);
  if (part.activation == Activation::none) return;
  const int64_t first = blocks.begin * kBlock, count = std::min(blocks.end * kBlock, part.weight->n()) - first;
  for (int64_t row = panel.begin; row < panel.end; ++row) {
    ops_.activate(part.activation, part.out.data + row * part.out.stride + first, count);
  }
}

void ProductRunner::multiply_gated(const ProductOp& op, const Prepared& rows, Range panel, Range blocks) const {
  const ProductOp::Part &gate = op.parts[0], &up = op.parts[1];
  const int64_t n = gate.weight->n();
  // A single row has no tile to reuse: each weight is then read in one go.
  const int64_t step = panel.end - panel.begin == 1 ? std::max(blocks.end - blocks.begin, int64_t{1}) : kGatedBlocks;
  for (int64_t b = blocks.begin; b < blocks.end; b += step) {
    const Range some{b, std::min(b + step, blocks.end)};
    multiply(gate, rows, panel, some, op.k);
    multiply(up, rows, panel, some, op.k);
    const int64_t first = some.begin * kBlock, count = std::min(some.end * kBlock, n) - first;
    for (int64_t row = panel.begin; row < panel.end; ++row) {
      ops_.silu_multiply(gate.out.data + row * gate.out.stride + first, up.out.data + row * up.out.stride + first,
                         count);
    }
  }
}

}  // namespace pagoda
