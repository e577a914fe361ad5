// Runs a whole step of a model in one call: a list of fused operations walked by every thread of the
// pool, with a barrier only where data crosses threads.
//
// Use: add weights, vectors and buffers, then operations that name them by the numbers returned, then
// finish(), then step() as often as wanted. Every method throws std::invalid_argument when its
// arguments break the contract.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "attention_op.h"
#include "batch.h"
#include "matmul.h"
#include "memory.h"
#include "pool.h"
#include "product_op.h"

namespace pagoda {

struct ExecutorSettings {
  Isa isa;
  int threads;
  int64_t vocab_size;
  int64_t max_tokens;    // most tokens of a step
  int64_t max_context;   // most tokens of a sequence
  int64_t num_blocks;    // of the cache
  AttentionShape attention;
};

class Executor {
 public:
  static constexpr int kNone = -1;
  static constexpr int kLogits = -2;   // as an output: the step's result

  struct ProductSpec {
    struct Part {
      int weight;
      int bias;            // vector or kNone
      int out;             // buffer or kLogits
      bool add;            // add to what `out` holds
      Activation activation = Activation::none;
    };
    int input;             // buffer
    int norm;              // vector or kNone
    float norm_eps;
    bool selected, gated;
    std::vector<Part> parts;
  };
  struct AttentionSpec {
    int64_t layer;
    int q, k, v, out;              // buffers
    int query_norm, key_norm;      // vectors or kNone
    float query_norm_eps, key_norm_eps;
    float scale;
    bool rotary = true;
  };
  // Where a step's time went, as seen by the calling thread, since the executor was made.
  struct Timing {
    std::string name;
    double seconds, waiting;       // working, and at the barrier after it
    int64_t calls;
  };

  explicit Executor(const ExecutorSettings& settings);
  ~Executor();

  // Copies the weight, packed for streaming, with all threads.
  int add_weight(const WeightSource& source);
  int add_vector(const float* values, int64_t count);
  // max_tokens rows of `width` float32.
  int add_buffer(int64_t width);
  // cosine and sine: (max_context, head_dim / 2), kept by the caller's vectors.
  void set_rotary(int cosine, int sine);

  // out = the token's row of `weight`, plus its position's and its segment's rows of those tables (or kNone).
  void add_embedding(int weight, int out, int positions = kNone, int segments = kNone);
  // out = layer norm of the rows of `input`, which may be `out` (ops.h).
  void add_layer_norm(int input, int out, int weight, int bias, float eps);
  // Moves the rows whose results are wanted to the front of each buffer; only operations on selected rows
  // follow.
  void add_selection(const std::vector<int>& buffers);
  void add_product(const ProductSpec& spec);
  void add_attention(const AttentionSpec& spec);
  // The step's result: the selected rows of `input`, through an RMS norm unless that is kNone.
  void add_output(int input, int norm, float norm_eps);
  void finish();

  // Logits (logits_count, vocab_size) or the rows of add_output, valid until the next step.
  const float* step(const StepInput& input);

  const ExecutorSettings& settings() const { return settings_; }
  // Values of a row of the result.
  int64_t result_width() const { return result_width_; }
  size_t weight_bytes() const;
  size_t cache_bytes() const { return attention_->cache().bytes(); }
  void set_profiling(bool on) { profiling_ = on; }
  std::vector<Timing> timings() const;

 private:
  struct Vector {
    std::vector<float> values;
  };
  struct Buffer {
    int64_t width;
    Rows rows;
    MappedMemory memory;
  };
  struct EmbeddingOp {
    const PackedWeight *weight, *positions, *segments;   // the last two may be null
    Rows out;
  };
  struct LayerNormOp {
    Rows input, out;
    int64_t width;
    const float *weight, *bias;
    float eps;
    bool selected;
  };
  struct OutputOp {
    Rows input;
    int64_t width;
    const float* norm;   // or null
    float norm_eps;
  };
  struct SelectionOp {
    struct Part {
      Rows rows;
      int64_t width;
    };
    std::vector<Part> parts;
  };
  struct Operation {
    std::variant<EmbeddingOp, LayerNormOp, SelectionOp, ProductOp, AttentionOp, OutputOp> op;
    std::string name;
    double seconds = 0, waiting = 0;
    int64_t calls = 0;
  };

  const PackedWeight& weight(int index) const;
  const float* vector(int index, int64_t count) const;
  const float* vector_or_null(int index, int64_t count) const;
  const Buffer& buffer(int index, int64_t width) const;
  const Buffer& buffer(int index) const;
  void require_building() const;
  void run(int thread);
  void run(const EmbeddingOp& op, int thread);
  void run(const LayerNormOp& op, int thread) const;
  void run(const OutputOp& op, int thread) const;
  void run(const SelectionOp& op, int thread) const;

  ExecutorSettings settings_;
  ThreadPool pool_;
  std::vector<std::unique_ptr<PackedWeight>> weights_;
  std::vector<std::unique_ptr<Vector>> vectors_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  const float *cosine_ = nullptr, *sine_ = nullptr;
  std::vector<Operation> operations_;
  std::unique_ptr<Claims[]> claims_;   // one an operation
  std::unique_ptr<AttentionRunner> attention_;
  std::unique_ptr<ProductRunner> products_;
  MappedMemory logits_;
  int64_t logits_touched_ = 0;   // rows written since the memory was last given back
  int64_t result_width_ = 0;
  int64_t segments_ = 1;         // kinds of segments that the tables hold
  OpKernels ops_;
  std::vector<std::vector<float>> rows_;   // of each thread, a row of a table
  Batch batch_;
  std::mutex stepping_;
  bool selected_ = false, finished_ = false, profiling_ = false;
};

}  // namespace pagoda
