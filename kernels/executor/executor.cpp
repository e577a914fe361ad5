#include "executor.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace pagoda {

namespace {

constexpr int64_t kMostTokens = 1 << 16;
constexpr int64_t kMostValues = int64_t{1} << 40;   // of any product of sizes, far from overflow

void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

const ExecutorSettings& checked(const ExecutorSettings& s) {
  const AttentionShape& a = s.attention;
  require(s.vocab_size > 0 && s.vocab_size < INT32_MAX, "vocab_size must be positive");
  require(s.max_tokens > 0 && s.max_tokens <= kMostTokens, "max_tokens must be 1 to 65536");
  require(s.max_context > 0 && s.max_context < INT32_MAX, "max_context must be positive");
  require(s.num_blocks > 0 && s.num_blocks < INT32_MAX, "num_blocks must be positive");
  require(a.layers > 0 && a.layers < 65536, "layers must be positive");
  require(a.kv_heads > 0 && a.heads >= a.kv_heads && a.heads % a.kv_heads == 0 && a.heads < 65536,
          "heads must be a multiple of kv_heads");
  require(a.head_dim > 0 && a.head_dim % 16 == 0 && a.head_dim <= kMaxHeadDim,
          "head_dim must be a multiple of 16, at most 256");
  require(a.block_values() < kMostValues / s.num_blocks, "the cache is too large");
  return s;
}

}  // namespace

Executor::Executor(const ExecutorSettings& settings)
    : settings_(checked(settings)),
      pool_(settings.threads),
      attention_(std::make_unique<AttentionRunner>(settings.isa, settings.attention, settings.num_blocks, pool_)),
      ops_(ops_for(settings.isa)),
      rows_(static_cast<size_t>(pool_.size())) {}

Executor::~Executor() = default;

int Executor::add_weight(const WeightSource& source) {
  require_building();
  weights_.push_back(std::make_unique<PackedWeight>(settings_.isa, source.format, source.n, source.k));
  PackedWeight& weight = *weights_.back();
  pool_.run([&](int thread) {
    const Range mine = share_of(weight.blocks(), thread, pool_.size());
    weight.pack(source, mine.begin, mine.end);
  });
  return static_cast<int>(weights_.size()) - 1;
}

int Executor::add_vector(const float* values, int64_t count) {
  require_building();
  vectors_.push_back(std::make_unique<Vector>(Vector{std::vector<float>(values, values + count)}));
  return static_cast<int>(vectors_.size()) - 1;
}

int Executor::add_buffer(int64_t width) {
  require_building();
  require(width > 0 && width < (1 << 24), "a buffer's width must be positive and below 2^24");
  // Whole cache lines, and never a multiple of 4 kB, where rows would fall on the same cache lines.
  int64_t stride = (width + 15) / 16 * 16;
  if (stride % 1024 == 0) stride += 16;
  const auto bytes = static_cast<size_t>(stride * settings_.max_tokens) * sizeof(float);
  auto buffer = std::make_unique<Buffer>(Buffer{width, {}, MappedMemory(bytes)});
  buffer->rows = {buffer->memory.as<float>(), stride};
  buffers_.push_back(std::move(buffer));
  return static_cast<int>(buffers_.size()) - 1;
}

void Executor::set_rotary(int cosine, int sine) {
  const int64_t count = settings_.max_context * (settings_.attention.head_dim / 2);
  cosine_ = vector(cosine, count);
  sine_ = vector(sine, count);
}

void Executor::add_embedding(int weight_index, int out, int positions, int segments) {
  require_building();
  const PackedWeight& table = weight(weight_index);
  require(table.n() == settings_.vocab_size, "an embedding needs one row a token of the vocabulary");
  EmbeddingOp op{&table, nullptr, nullptr, buffer(out, table.k()).rows};
  if (positions != kNone) {
    op.positions = &weight(positions);
    require(op.positions->k() == table.k(), "tables of an embedding differ in width");
    require(op.positions->n() >= settings_.max_context, "positions need one row a token of the longest sequence");
  }
  if (segments != kNone) {
    op.segments = &weight(segments);
    require(op.segments->k() == table.k(), "tables of an embedding differ in width");
    segments_ = op.segments->n();
  }
  for (std::vector<float>& row : rows_) row.resize(std::max(row.size(), static_cast<size_t>(table.k())));
  operations_.push_back({op, "embedding"});
}

void Executor::add_layer_norm(int input, int out, int weight_index, int bias, float eps) {
  require_building();
  const Buffer& from = buffer(input);
  const Buffer& to = buffer(out, from.width);
  operations_.push_back({LayerNormOp{from.rows, to.rows, from.width, vector(weight_index, from.width),
                                     vector(bias, from.width), eps, selected_},
                         "layer norm"});
}

void Executor::add_output(int input, int norm, float norm_eps) {
  require_building();
  require(selected_, "the result is made of selected rows");
  const Buffer& from = buffer(input);
  require(result_width_ == 0, "a program has one result");
  result_width_ = from.width;
  operations_.push_back({OutputOp{from.rows, from.width, vector_or_null(norm, from.width), norm_eps}, "output"});
}

void Executor::add_selection(const std::vector<int>& buffers) {
  require_building();
  require(!selected_, "rows are selected once");
  SelectionOp op{};
  for (const int index : buffers) op.parts.push_back({buffer(index).rows, buffer(index).width});
  operations_.push_back({std::move(op), "selection"});
  selected_ = true;
}

void Executor::add_product(const ProductSpec& spec) {
  require_building();
  require(!spec.parts.empty(), "a product needs at least one weight");
  require(spec.selected == selected_, "products after the selection are of selected rows, and no others");
  const Buffer& input = buffer(spec.input);
  ProductOp op{};
  op.input = input.rows;
  op.k = input.width;
  op.norm = vector_or_null(spec.norm, op.k);
  op.norm_eps = spec.norm_eps;
  op.selected = spec.selected;
  op.gated = spec.gated;
  std::string name = spec.norm == kNone ? "product" : "norm, product";
  for (const ProductSpec::Part& part : spec.parts) {
    const PackedWeight& w = weight(part.weight);
    require(w.k() == op.k, "a product's weight and input differ in width");
    require(part.out != spec.input, "a product cannot write its own input");
    Rows out{};
    if (part.out == kLogits) {
      require(w.n() == settings_.vocab_size, "logits need one output a token of the vocabulary");
      require(spec.parts.size() == 1 && !part.add && spec.selected, "logits come from selected rows and one weight");
      require(result_width_ == 0, "a program has one result");
      result_width_ = settings_.vocab_size;
      op.logits = true;
      name = "logits";
    } else {
      out = buffer(part.out, w.n()).rows;
      if (part.add) name = "product, add";
    }
    require(part.activation == Activation::none || !(part.add || spec.gated || part.out == kLogits),
            "an activation is of what a product assigns");
    op.parts.push_back({&w, vector_or_null(part.bias, w.n()), out, part.add ? Store::add : Store::assign,
                        part.activation});
  }
  if (spec.gated) {
    require(op.parts.size() == 2 && !spec.parts[0].add && !spec.parts[1].add, "a gated product has two weights");
    require(op.parts[0].weight->n() == op.parts[1].weight->n(), "gate and up differ in width");
    require(spec.parts[0].out != spec.parts[1].out, "gate and up need a buffer each");
    name = "norm, gate, up, silu";
  }
  operations_.push_back({std::move(op), std::move(name)});
}

void Executor::add_attention(const AttentionSpec& spec) {
  require_building();
  require(!selected_, "attention comes before the selection");
  const AttentionShape& shape = settings_.attention;
  require(spec.layer >= 0 && spec.layer < shape.layers, "the layer is outside the cache");
  require(!spec.rotary || (cosine_ && sine_), "attention needs the rotary tables first");
  require(std::isfinite(spec.scale) && spec.scale > 0, "attention needs a positive scale");
  require(spec.out != spec.q && spec.out != spec.k && spec.out != spec.v, "attention cannot write its own input");
  const int64_t queries = shape.heads * shape.head_dim, keys = shape.kv_heads * shape.head_dim;
  const Rows q = buffer(spec.q, queries).rows, k = buffer(spec.k, keys).rows, v = buffer(spec.v, keys).rows;
  const Rows out = buffer(spec.out, queries).rows;
  AttentionOp op{};
  op.layer = spec.layer;
  op.scale = spec.scale;
  const float *cosine = spec.rotary ? cosine_ : nullptr, *sine = spec.rotary ? sine_ : nullptr;
  op.query = {shape.head_dim, vector_or_null(spec.query_norm, shape.head_dim), spec.query_norm_eps, cosine, sine};
  op.key = {shape.head_dim, vector_or_null(spec.key_norm, shape.head_dim), spec.key_norm_eps, cosine, sine};
  op.q = q.data, op.q_stride = q.stride;
  op.k = k.data, op.k_stride = k.stride;
  op.v = v.data, op.v_stride = v.stride;
  op.out = out.data, op.out_stride = out.stride;
  operations_.push_back({op, "attention"});
}

void Executor::finish() {
  require_building();
  int64_t max_k = 1;
  std::array<bool, 3> formats{};
  for (const Operation& operation : operations_) {
    const auto* product = std::get_if<ProductOp>(&operation.op);
    if (!product) continue;
    max_k = std::max(max_k, product->k);
    for (const ProductOp::Part& part : product->parts) {
      formats[static_cast<size_t>(activation_format(settings_.isa, part.weight->format()))] = true;
    }
  }
  require(result_width_ > 0, "a program must end in logits or another output");
  products_ = std::make_unique<ProductRunner>(settings_.isa, settings_.max_tokens, max_k, formats, pool_);
  logits_ = MappedMemory(static_cast<size_t>(settings_.max_tokens * result_width_) * sizeof(float), true);
  for (Operation& operation : operations_) {
    auto* product = std::get_if<ProductOp>(&operation.op);
    if (product && product->logits) product->parts[0].out = {logits_.as<float>(), settings_.vocab_size};
  }
  claims_ = std::make_unique<Claims[]>(operations_.size());
  finished_ = true;
}

const float* Executor::step(const StepInput& input) {
  const std::lock_guard<std::mutex> lock(stepping_);
  require(finished_, "finish() comes before the first step");
  read_batch(input,
             {settings_.max_tokens, settings_.max_context, settings_.num_blocks, settings_.vocab_size,
              !settings_.attention.causal, segments_},
             batch_);
  // Logits of a whole prompt take much memory; a later step without them gives it back.
  constexpr int64_t kKept = 64;
  if (logits_touched_ > kKept && input.logits_count <= kKept) {
    logits_.release(static_cast<size_t>(kKept * result_width_) * sizeof(float));
    logits_touched_ = 0;
  }
  logits_touched_ = std::max(logits_touched_, input.logits_count);
  attention_->prepare(batch_);
  for (size_t i = 0; i < operations_.size(); ++i) claims_[i].reset();
  pool_.run([this](int thread) { run(thread); });
  return logits_.as<float>();
}

void Executor::run(int thread) {
  const bool timed = profiling_ && thread == 0;
  for (size_t i = 0; i < operations_.size(); ++i) {
    Operation& operation = operations_[i];
    const Clock::time_point begin = timed ? Clock::now() : Clock::time_point();
    if (const auto* product = std::get_if<ProductOp>(&operation.op)) {
      products_->run(*product, batch_, thread, claims_[i]);
    } else if (const auto* attention = std::get_if<AttentionOp>(&operation.op)) {
      attention_->run(*attention, batch_, thread, claims_[i]);
    } else if (const auto* selection = std::get_if<SelectionOp>(&operation.op)) {
      run(*selection, thread);
    } else if (const auto* norm = std::get_if<LayerNormOp>(&operation.op)) {
      run(*norm, thread);
    } else if (const auto* output = std::get_if<OutputOp>(&operation.op)) {
      run(*output, thread);
    } else {
      run(std::get<EmbeddingOp>(operation.op), thread);
    }
    const Clock::time_point done = timed ? Clock::now() : Clock::time_point();
    pool_.barrier(thread);
    if (timed) {
      operation.seconds += seconds_between(begin, done);
      operation.waiting += seconds_between(done, Clock::now());
      ++operation.calls;
    }
  }
}

void Executor::run(const EmbeddingOp& op, int thread) {
  const Range mine = share_of(batch_.rows(), thread, pool_.size());
  std::vector<float>& row_of_table = rows_[static_cast<size_t>(thread)];
  const auto add = [&](const PackedWeight& table, int64_t index, float* out) {
    table.dequantize_row(index, row_of_table.data());
    for (int64_t i = 0; i < table.k(); ++i) out[i] += row_of_table[static_cast<size_t>(i)];
  };
  for (const Sequence& sequence : batch_.sequences) {
    const int64_t end = std::min(mine.end, sequence.first_row + sequence.query_len);
    for (int64_t row = std::max(mine.begin, sequence.first_row); row < end; ++row) {
      float* out = op.out.data + row * op.out.stride;
      op.weight->dequantize_row(batch_.input.token_ids[row], out);
      if (op.positions) add(*op.positions, sequence.first_position() + row - sequence.first_row, out);
      if (op.segments) add(*op.segments, batch_.input.segments ? batch_.input.segments[row] : 0, out);
    }
  }
}

void Executor::run(const LayerNormOp& op, int thread) const {
  const Range mine = share_of(op.selected ? batch_.input.logits_count : batch_.rows(), thread, pool_.size());
  for (int64_t row = mine.begin; row < mine.end; ++row) {
    ops_.layer_norm(op.input.data + row * op.input.stride, op.weight, op.bias, op.eps, op.width,
                    op.out.data + row * op.out.stride);
  }
}

void Executor::run(const OutputOp& op, int thread) const {
  const Range mine = share_of(batch_.input.logits_count, thread, pool_.size());
  for (int64_t row = mine.begin; row < mine.end; ++row) {
    const float* x = op.input.data + row * op.input.stride;
    float* out = logits_.as<float>() + row * op.width;
    if (op.norm) {
      ops_.rms_norm(x, op.norm, op.norm_eps, op.width, out);
    } else {
      std::memcpy(out, x, static_cast<size_t>(op.width) * sizeof(float));
    }
  }
}

// Each thread moves some columns of all rows, front to back: wanted rows ascend, so none is overwritten
// before it has been moved.
void Executor::run(const SelectionOp& op, int thread) const {
  const StepInput& input = batch_.input;
  for (const SelectionOp::Part& part : op.parts) {
    const Range columns = share_of(part.width, thread, pool_.size());
    const auto count = static_cast<size_t>(columns.end - columns.begin);
    float* first = part.rows.data + columns.begin;
    for (int64_t row = 0; row < input.logits_count; ++row) {
      const int64_t from = input.logits_rows[row];
      if (from != row) std::memcpy(first + row * part.rows.stride, first + from * part.rows.stride, count * 4);
    }
  }
}

size_t Executor::weight_bytes() const {
  size_t bytes = 0;
  for (const auto& weight : weights_) bytes += weight->bytes();
  for (const auto& vector : vectors_) bytes += vector->values.size() * sizeof(float);
  return bytes;
}

std::vector<Executor::Timing> Executor::timings() const {
  std::vector<Timing> sums;
  for (const Operation& operation : operations_) {
    const auto same = [&](const Timing& timing) { return timing.name == operation.name; };
    auto at = std::find_if(sums.begin(), sums.end(), same);
    if (at == sums.end()) at = sums.insert(sums.end(), Timing{operation.name, 0, 0, 0});
    at->seconds += operation.seconds;
    at->waiting += operation.waiting;
    at->calls += operation.calls;
  }
  return sums;
}

void Executor::require_building() const { require(!finished_, "the executor is finished; nothing can be added"); }

const PackedWeight& Executor::weight(int index) const {
  require(index >= 0 && index < static_cast<int>(weights_.size()), "no such weight");
  return *weights_[static_cast<size_t>(index)];
}

const float* Executor::vector(int index, int64_t count) const {
  require(index >= 0 && index < static_cast<int>(vectors_.size()), "no such vector");
  const std::vector<float>& values = vectors_[static_cast<size_t>(index)]->values;
  require(static_cast<int64_t>(values.size()) == count, "a vector has the wrong length");
  return values.data();
}

const float* Executor::vector_or_null(int index, int64_t count) const {
  return index == kNone ? nullptr : vector(index, count);
}

const Executor::Buffer& Executor::buffer(int index) const {
  require(index >= 0 && index < static_cast<int>(buffers_.size()), "no such buffer");
  return *buffers_[static_cast<size_t>(index)];
}

const Executor::Buffer& Executor::buffer(int index, int64_t width) const {
  const Buffer& found = buffer(index);
  require(found.width == width, "a buffer has the wrong width");
  return found;
}

}  // namespace pagoda
