#include "sample.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "loops.h"

namespace pagoda {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

// A token in the order; `index` is its place among the candidates, which rises with its id.
struct Ranked {
  float value;
  int64_t index;
  double weight = 0;
};

bool before(const Ranked& a, const Ranked& b) {
  return a.value > b.value || (a.value == b.value && a.index < b.index);
}

// The tokens still in play, in rising order of id. `ids` null means that the index is the id.
struct Candidates {
  const float* values;
  const int32_t* ids;
  int64_t n;

  int32_t id(int64_t index) const { return ids ? ids[index] : static_cast<int32_t>(index); }
};

void fill_block_maxima(const float* x, int64_t n, std::vector<float>& block_max) {
  block_max.resize(loops::blocks_of(n));
  loops::block_maxima(x, n, block_max.data());
}

// A value that at least `k` logits reach: the k-th highest of the blocks' maxima; -inf where there are fewer blocks.
float reached_by(std::vector<float> block_max, int64_t k) {
  if (k > static_cast<int64_t>(block_max.size())) return kLowest;
  std::nth_element(block_max.begin(), block_max.begin() + (k - 1), block_max.end(), std::greater<float>());
  return block_max[k - 1];
}

// scratch.found = the indices of the logits that are at least `value`, rising.
void find_reaching(const float* x, int64_t n, float value, SampleScratch& scratch) {
  scratch.found.resize(n);
  scratch.found.resize(loops::find_reaching(x, n, value, scratch.found.data()));
}

// The first `k` of all logits, in order. 0 < k <= n.
std::vector<Ranked> first_of_order(const float* x, int64_t n, int64_t k, SampleScratch& scratch) {
  fill_block_maxima(x, n, scratch.block_max);
  find_reaching(x, n, reached_by(scratch.block_max, k), scratch);
  std::vector<Ranked> found;
  for (int32_t i : scratch.found) found.push_back({x[i], i});
  std::partial_sort(found.begin(), found.begin() + k, found.end(), before);
  found.resize(k);
  return found;
}

// The last token of the shortest beginning of `items` (in the order) whose weights reach `wanted`; the last of all if
// they never do. Takes linear time: halves are split off, not sorted.
Ranked last_to_reach(std::vector<Ranked>& items, double wanted) {
  int64_t from = 0, to = static_cast<int64_t>(items.size());
  while (to - from > 1) {
    const int64_t middle = from + (to - from) / 2;
    std::nth_element(items.begin() + from, items.begin() + middle, items.begin() + to, before);
    double sum = 0;
    for (int64_t i = from; i < middle; ++i) sum += items[i].weight;
    if (sum >= wanted) {
      to = middle;
    } else {
      wanted -= sum;
      from = middle;
    }
  }
  return items[from];
}

// Keeps those of the listed candidates that `keeps(value, index)` holds for; ids stay in rising order.
template <typename Keeps>
void filter(SampleScratch& scratch, Keeps keeps) {
  const int64_t n = static_cast<int64_t>(scratch.ids.size());
  int64_t kept = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (!keeps(scratch.values[i], i)) continue;
    scratch.ids[kept] = scratch.ids[i];
    scratch.values[kept++] = scratch.values[i];
  }
  scratch.ids.resize(kept);
  scratch.values.resize(kept);
}

Candidates listed(const SampleScratch& scratch) {
  return {scratch.values.data(), scratch.ids.data(), static_cast<int64_t>(scratch.ids.size())};
}

// Steps 6 and 7: the tokens of a row that pass min_p and top_k.
Candidates narrow(const float* x, int64_t n, float top, const SamplingSettings& settings, SampleScratch& scratch) {
  const bool has_top_k = settings.top_k > 0 && settings.top_k < n;
  if (!has_top_k && settings.min_p <= 0) return {x, nullptr, n};
  float lowest = kLowest;
  if (has_top_k) {
    fill_block_maxima(x, n, scratch.block_max);
    lowest = reached_by(scratch.block_max, settings.top_k);
  }
  const double below_top = settings.min_p > 0 ? std::log(settings.min_p) * settings.temperature : 0;
  if (settings.min_p > 0) {
    const double bound = std::max(top + below_top, static_cast<double>(std::numeric_limits<float>::lowest()));
    lowest = std::max(lowest, std::nextafter(static_cast<float>(bound), kLowest));  // surely not too high
  }
  find_reaching(x, n, lowest, scratch);
  scratch.ids = scratch.found;
  scratch.values.clear();
  for (int32_t i : scratch.ids) scratch.values.push_back(x[i]);
  if (settings.min_p > 0)
    filter(scratch, [&](float value, int64_t) { return static_cast<double>(value) - top >= below_top; });
  const int64_t left = static_cast<int64_t>(scratch.ids.size());
  if (has_top_k && left > settings.top_k) {
    std::vector<Ranked> ranked(left);
    for (int64_t i = 0; i < left; ++i) ranked[i] = {scratch.values[i], i};
    std::nth_element(ranked.begin(), ranked.begin() + (settings.top_k - 1), ranked.end(), before);
    const Ranked last = ranked[settings.top_k - 1];
    filter(scratch, [&](float value, int64_t i) { return !before(last, {value, i}); });
  }
  return listed(scratch);
}

// Step 8 where a few tokens hold most of the weight: puts the candidates near the top into `near`, of which as many as
// it takes for their weights to reach `wanted`. False if that takes too many.
bool gather_near_top(const Candidates& c, float top, double temperature, const float* weights, double wanted,
                     SampleScratch& scratch, std::vector<Ranked>& near) {
  constexpr size_t kMost = 2048;
  for (const double depth : {4.0, 8.0, 16.0}) {  // exponents below the top
    const double cut = std::max(top - depth * temperature, static_cast<double>(std::numeric_limits<float>::lowest()));
    find_reaching(c.values, c.n, static_cast<float>(cut), scratch);
    if (scratch.found.size() > kMost) return false;
    double sum = 0;
    for (int32_t i : scratch.found) sum += weights[i];
    if (sum < wanted) continue;
    near.clear();
    for (int32_t i : scratch.found) near.push_back({c.values[i], i, weights[i]});
    return true;
  }
  return false;
}

// Step 8 for any weights: a histogram of them by logit finds the narrow band that the answer lies in, so that only that
// band is selected from.
Ranked last_of_top_p(const Candidates& c, float top, double temperature, const float* weights, double wanted,
                     SampleScratch& scratch) {
  constexpr int32_t kBuckets = 512, kCopies = 4;  // copies keep successive additions independent
  constexpr double kBucketsPerUnit = 16;          // of the exponent: the last bucket holds weights under exp(-32)
  const float scale = static_cast<float>(
      std::min(kBucketsPerUnit / temperature, static_cast<double>(std::numeric_limits<float>::max())));
  scratch.buckets.resize(c.n);
  loops::assign_buckets(c.values, c.n, top, scale, kBuckets - 1, scratch.buckets.data());
  double sums[kCopies][kBuckets] = {};
  for (int64_t i = 0; i < c.n; ++i) sums[i % kCopies][scratch.buckets[i]] += weights[i];
  int32_t bucket = 0;
  double ahead = 0;
  for (; bucket < kBuckets - 1; ++bucket) {
    double sum = 0;
    for (int32_t copy = 0; copy < kCopies; ++copy) sum += sums[copy][bucket];
    if (ahead + sum >= wanted) break;
    ahead += sum;
  }
  std::vector<Ranked> band;
  for (int64_t i = 0; i < c.n; ++i)
    if (scratch.buckets[i] == bucket) band.push_back({c.values[i], i, weights[i]});
  // An empty last bucket: rounding alone kept the sum from being reached, so everything stays.
  if (band.empty()) return {kLowest, c.n};
  return last_to_reach(band, wanted - ahead);
}

// Steps 5 to 9. `top` is the highest of x and above -inf.
int32_t draw(const float* x, int64_t n, float top, const SamplingSettings& settings, uint64_t position,
             SampleScratch& scratch) {
  // The product with a reciprocal; the limit keeps 0 * infinity out when the temperature is next to nothing.
  const float inverse_temperature = static_cast<float>(
      std::min(1.0 / settings.temperature, static_cast<double>(std::numeric_limits<float>::max())));
  Candidates c = narrow(x, n, top, settings, scratch);
  double total = 0;
  const auto weigh = [&] {
    scratch.weights.resize(c.n);
    scratch.block_sums.resize(loops::blocks_of(c.n));
    total = loops::exp_weights(c.values, c.n, top, inverse_temperature, scratch.weights.data(),
                               scratch.block_sums.data());
  };
  weigh();
  if (settings.top_p < 1) {
    const double wanted = settings.top_p * total;
    std::vector<Ranked> near;
    if (gather_near_top(c, top, settings.temperature, scratch.weights.data(), wanted, scratch, near)) {
      std::vector<Ranked> unordered = near;
      const Ranked last = last_to_reach(unordered, wanted);
      std::vector<int32_t> ids;
      std::vector<float> values;
      for (const Ranked& each : near) {
        if (before(last, each)) continue;
        ids.push_back(c.id(each.index));
        values.push_back(each.value);
      }
      scratch.ids.swap(ids);
      scratch.values.swap(values);
      c = listed(scratch);
      weigh();
    } else {
      const Ranked last =
          last_of_top_p(c, top, settings.temperature, scratch.weights.data(), wanted, scratch);
      total = loops::keep_ahead(c.values, c.n, last.value, last.index, scratch.weights.data(),
                                scratch.block_sums.data());
    }
  }
  const float* w = scratch.weights.data();
  const double* sums = scratch.block_sums.data();
  const double wanted = uniform(settings.seed, position) * total;
  // The block first, then the token in it; the last of either with a weight if rounding hides the end.
  double sum = 0, inside = 0;  // before the block, and in it
  int64_t block = 0;
  for (int64_t b = 0, blocks = loops::blocks_of(c.n); b < blocks && !(sum + inside > wanted); ++b) {
    if (sums[b] == 0) continue;
    sum += inside;
    inside = sums[b];
    block = b;
  }
  int64_t chosen = 0;
  for (int64_t i = block * loops::kLanes, end = std::min(c.n, i + loops::kLanes); i < end; ++i) {
    if (w[i] == 0) continue;
    chosen = i;
    sum += w[i];
    if (sum > wanted) break;
  }
  return c.id(chosen);
}

void fill_logprobs(const float* x, int64_t n, float top, int32_t token, int64_t count,
                   const std::vector<int32_t>& others, SampleScratch& scratch, RowLogprobs& out) {
  const double log_sum = std::log(loops::exp_sum(x, n, top));
  const auto logprob = [&](float value) { return (static_cast<double>(value) - top) - log_sum; };
  out.logprob = logprob(x[token]);
  out.rank = 1 + loops::count_ahead(x, n, x[token], token);
  out.top_ids.clear();
  out.top_logprobs.clear();
  out.other_logprobs.clear();
  out.other_ranks.clear();
  for (int32_t id : others) {
    out.other_logprobs.push_back(logprob(x[id]));
    out.other_ranks.push_back(1 + loops::count_ahead(x, n, x[id], id));
  }
  if (count <= 0) return;
  for (const Ranked& ranked : first_of_order(x, n, std::min(count, n), scratch)) {
    out.top_ids.push_back(static_cast<int32_t>(ranked.index));
    out.top_logprobs.push_back(logprob(ranked.value));
  }
}

// x[i] = -inf where bit i of `mask` is not set.
void keep_masked(const uint32_t* mask, float* x, int64_t n) {
  for (int64_t start = 0; start < n; start += 32) {
    const uint32_t bits = mask[start / 32];
    const int64_t count = std::min<int64_t>(32, n - start);
    if (bits == ~0u) continue;
    if (bits == 0) {
      std::fill_n(x + start, count, kLowest);
      continue;
    }
    for (int64_t i = 0; i < count; ++i)
      if (!(bits >> i & 1)) x[start + i] = kLowest;
  }
}

void ban(const int32_t* ids, int64_t count, float* x, int64_t n) {
  for (int64_t i = 0; i < count; ++i)
    if (ids[i] >= 0 && ids[i] < n) x[ids[i]] = kLowest;
}

// Steps 2 and 3 into scratch.logits. `bans` off leaves out what is only banned.
void constrain(const float* logits, int64_t vocab, const SamplingSettings& settings, const TokenCounts* counts,
               const RowConstraints& constraints, bool bans, SampleScratch& scratch) {
  scratch.logits.assign(logits, logits + vocab);
  float* x = scratch.logits.data();
  for (size_t i = 0; i < settings.bias_ids.size(); ++i) x[settings.bias_ids[i]] += settings.biases[i];
  if (!settings.allowed.empty()) keep_masked(settings.allowed.data(), x, vocab);
  if (constraints.mask) keep_masked(constraints.mask, x, vocab);
  if (bans) {
    ban(settings.banned.data(), settings.banned.size(), x, vocab);
    ban(constraints.banned, constraints.num_banned, x, vocab);
  }
  if (counts && settings.has_penalties()) counts->apply(settings, x);
}

uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

double uniform(uint64_t seed, uint64_t position) {
  constexpr uint64_t kGolden = 0x9e3779b97f4a7c15u;
  return static_cast<double>(mix(mix(seed + kGolden) + (position + 1) * kGolden) >> 11) * 0x1p-53;
}

const char* sample_error_text(SampleError error) {
  switch (error) {
    case SampleError::not_finite: return "the logits are not finite numbers (NaN or infinity)";
    case SampleError::nothing_allowed: return "no token may follow: every one is ruled out";
    case SampleError::none: break;
  }
  return "";
}

int32_t& TokenCounts::count_of(int32_t id) {
  const auto [place, added] = slots_.try_emplace(id, static_cast<int32_t>(ids_.size()));
  if (added) {
    ids_.push_back(id);
    counts_.push_back(0);
  }
  return counts_[place->second];
}

void TokenCounts::add_prompt(const int32_t* ids, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    if (ids[i] >= 0 && ids[i] < vocab_) count_of(ids[i]);
}

void TokenCounts::add_output(const int32_t* ids, int64_t n) {
  num_output_ += n;
  for (int64_t i = 0; i < n; ++i)
    if (ids[i] >= 0 && ids[i] < vocab_) ++count_of(ids[i]);
}

void TokenCounts::apply(const SamplingSettings& settings, float* logits) const {
  for (size_t slot = 0; slot < ids_.size(); ++slot) {
    float& logit = logits[ids_[slot]];
    logit = logit > 0 ? logit / settings.repetition_penalty : logit * settings.repetition_penalty;
    if (counts_[slot] == 0) continue;
    logit -= settings.frequency_penalty * static_cast<float>(counts_[slot]);
    logit -= settings.presence_penalty;
  }
}

SampledRow sample_row(const float* logits, int64_t vocab, const SamplingSettings& settings, uint64_t position,
                      const TokenCounts* counts, const RowConstraints& constraints, SampleScratch& scratch) {
  SampledRow row;
  bool bad = false;
  const float raw_top = loops::row_maximum(logits, vocab, &bad);
  if (bad) {
    row.error = SampleError::not_finite;
    return row;
  }
  float top = raw_top;
  const float* x = logits;
  const bool has_bans = constraints.num_banned > 0 || !settings.banned.empty();
  if (constraints.mask || has_bans || settings.constrains() || (counts && settings.has_penalties())) {
    constrain(logits, vocab, settings, counts, constraints, true, scratch);
    x = scratch.logits.data();
    top = loops::row_maximum(x, vocab, &bad);
    if (top == kLowest && !bad && constraints.mask && has_bans) {
      constrain(logits, vocab, settings, counts, constraints, false, scratch);
      top = loops::row_maximum(x, vocab, &bad);
    }
    if (bad) {  // a penalty can take a finite logit to infinity
      row.error = SampleError::not_finite;
      return row;
    }
  }
  if (top == kLowest) {
    row.error = SampleError::nothing_allowed;
    return row;
  }
  row.token = settings.temperature == 0
                  ? static_cast<int32_t>(loops::index_of(x, vocab, top))
                  : draw(x, vocab, top, settings, position, scratch);
  if (settings.wants_logprobs()) {
    fill_logprobs(logits, vocab, raw_top, row.token, settings.logprobs, settings.logprob_ids, scratch, row.logprobs);
  }
  return row;
}

bool row_logprobs(const float* logits, int64_t vocab, int32_t token, int64_t count, SampleScratch& scratch,
                  RowLogprobs& out) {
  bool bad = false;
  const float top = loops::row_maximum(logits, vocab, &bad);
  if (bad || top == kLowest) return false;
  fill_logprobs(logits, vocab, top, token, count, {}, scratch, out);
  return true;
}

}  // namespace pagoda
