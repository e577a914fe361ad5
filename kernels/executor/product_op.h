// The fused matrix product: rows, perhaps normed, prepared once and multiplied with several weights.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "batch.h"
#include "ops.h"
#include "matmul.h"
#include "pool.h"

namespace pagoda {

struct Rows {
  float* data;
  int64_t stride;   // values
};

struct ProductOp {
  struct Part {
    const PackedWeight* weight;
    const float* bias;   // or null
    Rows out;
    Store store;
    Activation activation = Activation::none;   // of out, once it is assigned
  };

  Rows input;
  int64_t k;
  const float* norm;     // weight of the norm the rows go through first, or null
  float norm_eps;
  bool selected;         // the rows are those whose logits are wanted
  bool logits;           // the only part's out is the step's result
  bool gated;            // parts are gate and up: gate's out = silu(gate) * up
  std::vector<Part> parts;

  int64_t rows(const Batch& batch) const { return selected ? batch.input.logits_count : batch.rows(); }
};

class ProductRunner {
 public:
  // `formats` says which activation formats the products use; `max_k` is their longest row.
  ProductRunner(Isa isa, int64_t max_rows, int64_t max_k, const std::array<bool, 3>& formats, ThreadPool& pool);

  // On every thread of the pool, with claims that are reset before. Results are complete after the next
  // barrier.
  void run(const ProductOp& op, const Batch& batch, int thread, Claims& claims);

 private:
  // Prepared rows in each format that is used.
  struct Prepared {
    std::array<std::unique_ptr<ActivationBuffer>, 3> formats;
  };
  struct Workspace {
    Prepared rows;
    std::vector<float> normed;
  };

  void prepare(const ProductOp& op, int64_t row, Prepared& to, float* normed) const;
  // Few rows: each thread takes an equal share of the weights' bytes.
  void stream(const ProductOp& op, const Prepared& rows, int64_t count, int thread) const;
  // Many rows: threads claim panels of rows by columns.
  void multiply(const ProductOp& op, const Prepared& rows, int64_t count, Claims& claims) const;
  void multiply(const ProductOp& op, const Prepared& rows, Range panel, Range units) const;
  // Rows times blocks of one part.
  void multiply(const ProductOp::Part& part, const Prepared& rows, Range panel, Range blocks, int64_t k) const;
  // Rows times the same blocks of gate and up, and the activation.
  void multiply_gated(const ProductOp& op, const Prepared& rows, Range panel, Range blocks) const;

  Isa isa_;
  OpKernels ops_;
  ThreadPool& pool_;
  Prepared shared_;
  std::vector<std::unique_ptr<Workspace>> workspaces_;
};

}  // namespace pagoda
