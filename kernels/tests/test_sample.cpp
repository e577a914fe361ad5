// Tests of the sampler against a plain reading of its algorithm that sorts everything, over random rows of every
// length around the block size and all mixes of settings; meant to run under the sanitizers too.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "loops.h"
#include "sample.h"

using namespace pagoda;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

int failures = 0;

#define CHECK(condition)                                                     \
  do {                                                                       \
    if (!(condition) && ++failures <= 20)                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
  } while (false)

std::vector<int32_t> in_order(const std::vector<float>& x) {
  std::vector<int32_t> ids(x.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::stable_sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) { return x[a] > x[b]; });
  return ids;
}

// The token the algorithm gives, or -1 when a limit or the draw is so near a border that rounding may decide.
int32_t expected_token(const std::vector<float>& x, const SamplingSettings& s, uint64_t position) {
  std::vector<int32_t> order = in_order(x);
  if (s.temperature == 0) return order[0];
  std::vector<double> w(x.size());
  for (size_t i = 0; i < x.size(); ++i) w[i] = std::exp((static_cast<double>(x[i]) - x[order[0]]) / s.temperature);
  const auto near = [](double a, double b) { return std::fabs(a - b) < 1e-5 * std::fabs(b); };
  if (s.min_p > 0) {
    size_t kept = 0;
    const double below_top = std::log(s.min_p) * s.temperature;
    while (kept < order.size() && static_cast<double>(x[order[kept]]) - x[order[0]] >= below_top) ++kept;
    order.resize(kept);
  }
  if (s.top_k > 0 && s.top_k < static_cast<int64_t>(order.size())) order.resize(s.top_k);
  if (s.top_p < 1) {
    double total = 0, sum = 0;
    for (int32_t id : order) total += w[id];
    size_t kept = 0;
    while (kept < order.size()) {
      sum += w[order[kept++]];
      if (near(sum, s.top_p * total)) return -1;
      if (sum >= s.top_p * total) break;
    }
    order.resize(kept);
  }
  std::sort(order.begin(), order.end());
  double total = 0, sum = 0;
  for (int32_t id : order) total += w[id];
  const double wanted = uniform(s.seed, position) * total;
  for (int32_t id : order) {
    sum += w[id];
    if (near(sum, wanted)) return -1;
    if (sum > wanted) return id;
  }
  return -1;
}

std::vector<float> random_row(size_t n, int kind, std::mt19937_64& random) {
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  for (float& value : x) {
    value = normal(random);
    if (kind == 1) value = std::round(value * 2);
    if (kind == 2) value = 1.5f;
    if (kind == 3) value *= 20;
    if (kind == 4 && random() % 3) value = -kInfinity;
    if (kind == 5) value *= 1e37f;
  }
  if (kind == 4) x[random() % n] = 0;
  return x;
}

void test_against_sorting() {
  std::mt19937_64 random(1);
  SampleScratch scratch;
  int compared = 0;
  const size_t lengths[] = {1, 2, 63, 64, 65, 127, 128, 129, 500, 4096, 10007};
  for (size_t n : lengths)
    for (int kind = 0; kind < 6; ++kind)
      for (int trial = 0; trial < 60; ++trial) {
        const std::vector<float> x = random_row(n, kind, random);
        SamplingSettings s;
        const double temperatures[] = {0, 0.01, 0.7, 1, 3, 1e-300, 1e300};
        const double top_ps[] = {1, 0.9, 0.3, 1e-9, 0.999999};
        const double min_ps[] = {0, 0, 0.1, 1, 1e-6};
        const int64_t top_ks[] = {0, 1, 5, 50, static_cast<int64_t>(n), -1};
        s.temperature = temperatures[random() % 7];
        s.top_p = top_ps[random() % 5];
        s.min_p = min_ps[random() % 5];
        s.top_k = top_ks[random() % 6];
        s.seed = random();
        s.logprobs = static_cast<int64_t>(random() % 4) - 1;
        const uint64_t position = random() % 1000;
        const SampledRow found = sample_row(x.data(), n, s, position, nullptr, {}, scratch);
        CHECK(found.error == SampleError::none);
        CHECK(found.token >= 0 && found.token < static_cast<int32_t>(n));
        const int32_t expected = expected_token(x, s, position);
        if (expected >= 0) {
          ++compared;
          CHECK(found.token == expected);
        }
        if (s.logprobs >= 0) {
          const std::vector<int32_t> order = in_order(x);
          CHECK(found.logprobs.top_ids.size() == std::min<size_t>(s.logprobs, n));
          CHECK(std::equal(found.logprobs.top_ids.begin(), found.logprobs.top_ids.end(), order.begin()));
          CHECK(order[found.logprobs.rank - 1] == found.token);
        }
      }
  CHECK(compared > 2000);
}

void test_exponential() {
  std::vector<float> x;
  for (double v = 0; v > -700; v -= 0.0137) x.push_back(static_cast<float>(v));
  x.push_back(-kInfinity);
  std::vector<float> w(x.size());
  std::vector<double> sums(loops::blocks_of(x.size()));
  const double total = loops::exp_weights(x.data(), x.size(), 0, 1, w.data(), sums.data());
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double right = std::exp(static_cast<double>(x[i]));
    CHECK(x[i] > -87 ? std::fabs(w[i] - right) <= 2e-7 * right : w[i] == 0);
    sum += right;
  }
  CHECK(w[0] == 1);
  CHECK(std::fabs(total - sum) < 1e-7 * sum);
  CHECK(std::fabs(loops::exp_sum(x.data(), x.size(), 0) - sum) < 1e-14 * sum);
}

// Every instruction set gives the same bits.
void test_levels_agree() {
  using loops::Level;
  std::mt19937_64 random(3);
  for (size_t n : {1u, 17u, 64u, 200u, 1000u, 4097u})
    for (int kind = 0; kind < 6; ++kind) {
      const std::vector<float> x = random_row(n, kind, random);
      const float top = *std::max_element(x.begin(), x.end()), value = x[n / 2];
      const int64_t blocks = loops::blocks_of(n), place = random() % n;
      struct Results {
        bool bad;
        std::vector<float> maxima;
        std::vector<float> w, kept;
        std::vector<double> sums, kept_sums, totals;
        std::vector<uint16_t> buckets;
        std::vector<int64_t> counts;
        bool operator==(const Results& o) const {
          return bad == o.bad && maxima == o.maxima && w == o.w && sums == o.sums && kept == o.kept &&
                 kept_sums == o.kept_sums && totals == o.totals && buckets == o.buckets && counts == o.counts;
        }
      };
      const auto run = [&](Level level) {
        Results r;
        r.maxima.resize(blocks);
        r.w.resize(n), r.sums.resize(blocks), r.kept_sums.resize(blocks), r.buckets.resize(n);
        r.totals.push_back(loops::row_maximum(x.data(), n, &r.bad, level));
        loops::block_maxima(x.data(), n, r.maxima.data(), level);
        r.totals.push_back(loops::exp_weights(x.data(), n, top, 0.7f, r.w.data(), r.sums.data(), level));
        r.totals.push_back(loops::exp_sum(x.data(), n, top, level));
        loops::assign_buckets(x.data(), n, top, 11.2f, 511, r.buckets.data(), level);
        r.kept = r.w;
        r.totals.push_back(
            loops::keep_ahead(x.data(), n, value, place, r.kept.data(), r.kept_sums.data(), level));
        r.counts = {loops::index_of(x.data(), n, value, level), loops::index_of(x.data(), n, 0.123f, level),
                    loops::count_ahead(x.data(), n, value, place, level)};
        std::vector<int32_t> found(n);
        found.resize(loops::find_reaching(x.data(), n, value, found.data(), level));
        CHECK(std::is_sorted(found.begin(), found.end()));
        CHECK(std::all_of(found.begin(), found.end(), [&](int32_t i) { return x[i] >= value; }));
        CHECK(static_cast<int64_t>(found.size()) ==
              std::count_if(x.begin(), x.end(), [&](float each) { return each >= value; }));
        return r;
      };
      const Results baseline = run(Level::baseline);
      CHECK(baseline.totals[0] == top);
      CHECK(baseline.counts[0] == std::find(x.begin(), x.end(), value) - x.begin());
      for (Level level : {Level::avx2, Level::avx512})
        if (level <= loops::best_level()) CHECK(run(level) == baseline);
    }
}

void test_penalties_and_bans() {
  SampleScratch scratch;
  const std::vector<float> x = {1, -1, 4, 3, 2};
  SamplingSettings s;
  s.temperature = 0;
  s.repetition_penalty = 2;
  s.frequency_penalty = 0.25f;
  s.presence_penalty = 0.5f;
  TokenCounts counts(5);
  const int32_t prompt[] = {0, 1, -7, 99}, output[] = {2, 2, 3, 5};
  counts.add_prompt(prompt, 4);
  counts.add_output(output, 4);
  CHECK(counts.num_output() == 4);
  std::vector<float> y = x;
  counts.apply(s, y.data());
  CHECK((y == std::vector<float>{0.5f, -2, 1.0f, 0.75f, 2}));
  CHECK(sample_row(x.data(), 5, s, 0, &counts, {}, scratch).token == 4);
  const int32_t banned[] = {4, -1, 5};
  CHECK(sample_row(x.data(), 5, s, 0, &counts, {nullptr, banned, 3}, scratch).token == 2);
  const int32_t all[] = {0, 1, 2, 3, 4};
  CHECK(sample_row(x.data(), 5, s, 0, &counts, {nullptr, all, 5}, scratch).error == SampleError::nothing_allowed);
}

// Masks of every kind of word over rows of every length around a word: what is chosen is what a row with -inf in place
// of the tokens left out gives, and the last word is not read past the vocabulary.
void test_masks() {
  std::mt19937_64 random(11);
  SampleScratch scratch;
  for (size_t n : {1u, 31u, 32u, 33u, 64u, 95u, 200u, 1000u}) {
    for (int round = 0; round < 50; ++round) {
      const std::vector<float> x = random_row(n, round % 4, random);
      std::vector<uint32_t> mask(mask_words(n));
      for (uint32_t& word : mask) {
        const uint32_t kinds[] = {0, ~0u, static_cast<uint32_t>(random()), 1u << random() % 32};
        word = kinds[random() % 4];
      }
      const size_t sure = random() % n;
      mask[sure / 32] |= 1u << sure % 32;
      SamplingSettings s;
      s.temperature = round % 3 ? 0.7 : 0;
      s.seed = random();
      s.logprobs = 2;
      std::vector<float> plain = x;
      for (size_t i = 0; i < n; ++i)
        if (!(mask[i / 32] >> i % 32 & 1)) plain[i] = -kInfinity;
      const SampledRow found = sample_row(x.data(), n, s, round, nullptr, {mask.data(), nullptr, 0}, scratch);
      const SampledRow wanted = sample_row(plain.data(), n, s, round, nullptr, {}, scratch);
      CHECK(found.token == wanted.token);
      RowLogprobs raw;
      CHECK(row_logprobs(x.data(), n, found.token, 2, scratch, raw));
      CHECK(found.logprobs.logprob == raw.logprob && found.logprobs.rank == raw.rank);
      // The same as tokens that alone are allowed, and a ban that would leave nothing yields to the mask.
      s.allowed = mask;
      CHECK(sample_row(x.data(), n, s, round, nullptr, {}, scratch).token == wanted.token);
      s.allowed.clear();
      for (size_t i = 0; i < n; ++i) s.banned.push_back(static_cast<int32_t>(i));
      CHECK(sample_row(x.data(), n, s, round, nullptr, {}, scratch).error == SampleError::nothing_allowed);
      CHECK(sample_row(x.data(), n, s, round, nullptr, {mask.data(), nullptr, 0}, scratch).token == wanted.token);
    }
  }
  SamplingSettings s;
  s.temperature = 0;
  const std::vector<float> x = {1, 2, 3};
  s.bias_ids = {0, 2};
  s.biases = {4, -1.5f};
  CHECK(sample_row(x.data(), 3, s, 0, nullptr, {}, scratch).token == 0);
  const uint32_t mask = 0b110;
  CHECK(sample_row(x.data(), 3, s, 0, nullptr, {&mask, nullptr, 0}, scratch).token == 1);
}

void test_bad_logits() {
  SampleScratch scratch;
  SamplingSettings s;
  for (size_t n : {1u, 64u, 65u, 300u})
    for (size_t place = 0; place < n; ++place)
      for (float bad : {std::numeric_limits<float>::quiet_NaN(), kInfinity}) {
        std::vector<float> x(n, 0.5f);
        x[place] = bad;
        CHECK(sample_row(x.data(), n, s, 0, nullptr, {}, scratch).error == SampleError::not_finite);
        RowLogprobs out;
        CHECK(!row_logprobs(x.data(), n, 0, 1, scratch, out));
      }
}

}  // namespace

int main() {
  test_against_sorting();
  test_exponential();
  test_levels_agree();
  test_penalties_and_bans();
  test_masks();
  test_bad_logits();
  if (failures) std::fprintf(stderr, "test_sample: %d checks failed\n", failures);
  else std::printf("test_sample: all passed\n");
  return failures != 0;
}
