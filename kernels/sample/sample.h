// Choosing the next token of one sequence from its logits.
//
// The algorithm, in this order (that of vLLM's sampler). Tokens are ordered by logit, highest first, and tokens of
// equal logit by id, lowest first; "before" means before in that order.
//   1. If log-probabilities are wanted: log-softmax of the raw logits, summed in float64.
//   2. Tokens that are banned or not allowed get the logit -inf; biases are added to the others, in float32. A grammar's
//      mask goes before bans: those are left out where they would rule out everything that the mask allows.
//   3. Penalties, in float32: each token of prompt or output has its logit divided (if positive) or multiplied (if
//      not) by the repetition penalty (arXiv:1909.05858); each token of the output loses
//      frequency_penalty * count + presence_penalty.
//   4. Temperature 0: the first token of the order, and nothing further.
//   5. weight = exp((logit - highest logit) / temperature), in float32; all sums of weights are in float64.
//   6. min_p: only tokens with weight >= min_p (the top token's weight is 1), decided on the logits in float64.
//   7. top_k: only the first top_k of the tokens left.
//   8. top_p (arXiv:1904.09751): only the shortest beginning of the tokens left whose weights reach top_p of theirs.
//   9. Inverse CDF: of the tokens left, in rising order of id, the first whose running sum of weights exceeds
//      uniform(seed, position) times their sum.
//
// Everything is a function of one row's logits and settings: no state, no order of rows, no thread and no instruction
// set enters. Sums run in a fixed order of 64-bit lanes and no product is contracted into a fused one.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace pagoda {

// How one sequence's tokens are chosen. Values are taken as valid: temperature >= 0 and finite, top_p in (0, 1],
// min_p in [0, 1], repetition_penalty > 0.
struct SamplingSettings {
  double temperature = 1.0;
  int64_t top_k = 0;  // 0 or less: no limit
  double top_p = 1.0;
  double min_p = 0.0;
  float repetition_penalty = 1.0f;
  float frequency_penalty = 0.0f;
  float presence_penalty = 0.0f;
  int64_t logprobs = -1;  // how many top tokens to report; -1: none
  uint64_t seed = 0;
  std::vector<int32_t> bias_ids;     // in [0, vocab)
  std::vector<float> biases;         // finite, as many
  std::vector<uint32_t> allowed;     // one bit a token, lowest first; empty: every token
  std::vector<int32_t> banned;       // never chosen
  std::vector<int32_t> logprob_ids;  // in [0, vocab): reported besides the top tokens

  bool wants_logprobs() const { return logprobs >= 0 || !logprob_ids.empty(); }
  bool constrains() const { return !bias_ids.empty() || !allowed.empty() || !banned.empty(); }
  bool has_penalties() const {
    return repetition_penalty != 1.0f || frequency_penalty != 0.0f || presence_penalty != 0.0f;
  }
};

// Which tokens a sequence holds and how often its output does, kept up to date by appending.
class TokenCounts {
 public:
  // Ids outside [0, vocab) have no logit and are skipped.
  explicit TokenCounts(int64_t vocab) : vocab_(vocab) {}
  void add_prompt(const int32_t* ids, int64_t n);
  void add_output(const int32_t* ids, int64_t n);
  int64_t num_output() const { return num_output_; }  // tokens given to add_output, skipped ones included
  void apply(const SamplingSettings& settings, float* logits) const;

 private:
  int32_t& count_of(int32_t id);

  int64_t vocab_;
  int64_t num_output_ = 0;
  std::unordered_map<int32_t, int32_t> slots_;  // id -> index in ids_ and counts_
  std::vector<int32_t> ids_, counts_;           // each id once, in order of first appearance, with its output count
};

struct RowLogprobs {
  double logprob;  // of the token asked for, natural
  int64_t rank;    // its place in the order, 1 being the first
  std::vector<int32_t> top_ids;
  std::vector<double> top_logprobs;
  std::vector<double> other_logprobs;  // of settings.logprob_ids
  std::vector<int64_t> other_ranks;
};

enum class SampleError : int { none = 0, not_finite = 1, nothing_allowed = 2 };
const char* sample_error_text(SampleError error);

struct SampledRow {
  int32_t token = -1;  // -1 with an error
  SampleError error = SampleError::none;
  RowLogprobs logprobs;  // empty unless settings.wants_logprobs()
};

// What may come next at one position, besides the settings. `mask`: one bit a token as in settings.allowed, null for
// every token; bits past the vocabulary are not looked at. Banned ids outside the vocabulary are skipped.
struct RowConstraints {
  const uint32_t* mask = nullptr;
  const int32_t* banned = nullptr;
  int64_t num_banned = 0;
};

inline int64_t mask_words(int64_t vocab) { return (vocab + 31) / 32; }

// Working memory that grows to the vocabulary and is used again by the next row. Not for two threads at once.
struct SampleScratch {
  std::vector<float> logits;     // the row with bans and penalties
  std::vector<float> block_max;  // of each block of logits
  std::vector<float> weights;
  std::vector<double> block_sums;
  std::vector<uint16_t> buckets;
  std::vector<int32_t> found;    // indices of a search
  std::vector<int32_t> ids;      // candidates, rising
  std::vector<float> values;     // their logits
};

// A number in [0, 1) with 53 random bits, a function of its arguments alone (two rounds of splitmix64,
// doi:10.1145/2660193.2660195).
double uniform(uint64_t seed, uint64_t position);

// Chooses a token from `vocab` logits, which are not written. `position` is the number of output tokens so far;
// `counts` may be null when there are no penalties. Errors: not_finite when a logit is NaN or +inf,
// nothing_allowed when none is above -inf after step 2.
SampledRow sample_row(const float* logits, int64_t vocab, const SamplingSettings& settings, uint64_t position,
                      const TokenCounts* counts, const RowConstraints& constraints, SampleScratch& scratch);

// Step 1 for a given token in [0, vocab). Returns false when the logits hold NaN or +inf, or nothing above -inf.
bool row_logprobs(const float* logits, int64_t vocab, int32_t token, int64_t count, SampleScratch& scratch,
                  RowLogprobs& out);

}  // namespace pagoda
