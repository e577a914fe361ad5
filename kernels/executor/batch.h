// The tokens of one step as the operations read them.
#pragma once

#include <cstdint>
#include <vector>

namespace pagoda {

// What the caller gives: sequences one after another (see execute/base.py for each array's meaning).
struct StepInput {
  const int32_t* token_ids;
  int64_t tokens;
  const int32_t* query_lens;
  const int32_t* context_lens;
  int64_t sequences;
  const int32_t* block_tables;  // (sequences, table_width)
  int64_t table_width;
  const int32_t* logits_rows;
  int64_t logits_count;
  const int32_t* segments = nullptr;   // (tokens,), or null for all zero
};

struct BatchLimits {
  int64_t max_tokens, max_context, num_blocks, vocab_size;
  bool whole = false;       // sequences must come whole
  int64_t segments = 1;     // kinds of segments
};

struct Sequence {
  int64_t first_row;      // of its new tokens
  int64_t query_len;
  int64_t context_len;    // after this step
  const int32_t* blocks;

  int64_t first_position() const { return context_len - query_len; }
};

struct Batch {
  StepInput input;
  std::vector<Sequence> sequences;

  int64_t rows() const { return input.tokens; }
};

// Checks every index of the input against the limits and fills `batch`; throws std::invalid_argument
// with one line that says what is wrong.
void read_batch(const StepInput& input, const BatchLimits& limits, Batch& batch);

}  // namespace pagoda
