#include "batch.h"

#include <stdexcept>
#include <string>

#include "ops.h"

namespace pagoda {

namespace {

template <typename... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  std::string message;
  const auto add = [&message](const auto& part) {
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(part)>>) {
      message += std::to_string(part);
    } else {
      message += part;
    }
  };
  (add(parts), ...);
  throw std::invalid_argument(message);
}

}  // namespace

void read_batch(const StepInput& input, const BatchLimits& limits, Batch& batch) {
  if (input.tokens < 1 || input.tokens > limits.max_tokens) {
    refuse("a step carries 1 to ", limits.max_tokens, " tokens, not ", input.tokens);
  }
  for (int64_t t = 0; t < input.tokens; ++t) {
    if (input.token_ids[t] < 0 || input.token_ids[t] >= limits.vocab_size) {
      refuse("token id ", input.token_ids[t], " in row ", t, " is not in 0..", limits.vocab_size - 1);
    }
  }
  for (int64_t t = 0; input.segments && t < input.tokens; ++t) {
    if (input.segments[t] < 0 || input.segments[t] >= limits.segments) {
      refuse("segment ", input.segments[t], " in row ", t, " is not in 0..", limits.segments - 1);
    }
  }
  batch.input = input;
  batch.sequences.clear();
  int64_t row = 0;
  for (int64_t s = 0; s < input.sequences; ++s) {
    const int64_t query = input.query_lens[s], context = input.context_lens[s];
    if (query < 1) refuse("sequence ", s, " has ", query, " new tokens; at least 1 is needed");
    if (query > input.tokens - row) refuse("query_lens add up to more than the ", input.tokens, " tokens");
    if (context < query || context > limits.max_context) {
      refuse("sequence ", s, " has a context of ", context, " tokens; it must be ", query, " to ", limits.max_context);
    }
    if (limits.whole && context != query) {
      refuse("sequence ", s, " has ", query, " of its ", context, " tokens in this step; the model needs it whole");
    }
    const int64_t blocks = (context + kPage - 1) / kPage;
    if (blocks > input.table_width) {
      refuse("sequence ", s, " needs ", blocks, " cache blocks; its block table has ", input.table_width);
    }
    const int32_t* table = input.block_tables + s * input.table_width;
    for (int64_t b = 0; b < blocks; ++b) {
      if (table[b] < 0 || table[b] >= limits.num_blocks) {
        refuse("block id ", table[b], " of sequence ", s, " is not in 0..", limits.num_blocks - 1);
      }
    }
    batch.sequences.push_back({row, query, context, table});
    row += query;
  }
  if (row != input.tokens) refuse("query_lens add up to ", row, ", not to the ", input.tokens, " tokens");
  for (int64_t i = 0; i < input.logits_count; ++i) {
    const int32_t wanted = input.logits_rows[i], before = i > 0 ? input.logits_rows[i - 1] : -1;
    if (wanted <= before || wanted >= input.tokens) {
      refuse("logits_rows must ascend and lie in 0..", input.tokens - 1, "; entry ", i, " is ", wanted);
    }
  }
}

}  // namespace pagoda
