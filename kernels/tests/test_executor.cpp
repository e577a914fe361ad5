// Tests of the executor as a whole on small random models: the same sequence gives the same bits however
// its tokens are split into steps, whatever shares the batch and however many threads run it; what
// breaks the contract is refused. (Right values are the Python tests' matter.)
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "executor.h"

using namespace pagoda;

namespace {

constexpr int32_t kPoison = 82;   // a token whose embedding is not a number
constexpr int64_t kVocab = 83, kContext = 640, kBlocks = 64, kMaxTokens = 700;

struct Sizes {
  int64_t hidden = 64, inner = 96, heads = 4, kv_heads = 2, dim = 16, layers = 2;
  bool head_norm = false;
};

// A model of the Llama shape with random float weights.
class Model {
 public:
  Model(Isa isa, int threads, const Sizes& s) : random_(5) {
    executor_ = std::make_unique<Executor>(
        ExecutorSettings{isa, threads, kVocab, kMaxTokens, kContext, kBlocks, {s.layers, s.heads, s.kv_heads, s.dim}});
    const int64_t queries = s.heads * s.dim, keys = s.kv_heads * s.dim;
    const int embedding = weight(kVocab, s.hidden, kPoison);
    const int x = executor_->add_buffer(s.hidden), q = executor_->add_buffer(queries), k = executor_->add_buffer(keys);
    const int v = executor_->add_buffer(keys), attended = executor_->add_buffer(queries);
    const int gate = executor_->add_buffer(s.inner), up = executor_->add_buffer(s.inner);
    const int cosine = vector(kContext * s.dim / 2), sine = vector(kContext * s.dim / 2);
    executor_->set_rotary(cosine, sine);
    executor_->add_embedding(embedding, x);
    for (int64_t layer = 0; layer < s.layers; ++layer) {
      const int none = Executor::kNone;
      executor_->add_product({x, vector(s.hidden), 1e-5f, false, false,
                              {{weight(queries, s.hidden), vector(queries), q, false},
                               {weight(keys, s.hidden), none, k, false},
                               {weight(keys, s.hidden), none, v, false}}});
      const int qn = s.head_norm ? vector(s.dim) : none, kn = s.head_norm ? vector(s.dim) : none;
      executor_->add_attention({layer, q, k, v, attended, qn, kn, 1e-6f, 1e-6f, 0.25f});
      const bool last = layer + 1 == s.layers;
      if (last) executor_->add_selection({x, attended});
      executor_->add_product({attended, none, 0, last, false, {{weight(s.hidden, queries), none, x, true}}});
      executor_->add_product({x, vector(s.hidden), 1e-5f, last, true,
                              {{weight(s.inner, s.hidden), none, gate, false}, {weight(s.inner, s.hidden), none, up, false}}});
      executor_->add_product({gate, none, 0, last, false, {{weight(s.hidden, s.inner), none, x, true}}});
    }
    executor_->add_product({x, vector(s.hidden), 1e-5f, true, false, {{weight(kVocab, s.hidden), Executor::kNone, Executor::kLogits, false}}});
    executor_->finish();
  }

  Executor& executor() { return *executor_; }

 private:
  std::vector<float> values(int64_t count, double spread) {
    std::normal_distribution<float> distribution(0.0f, static_cast<float>(spread));
    std::vector<float> out(static_cast<size_t>(count));
    for (float& value : out) value = distribution(random_);
    return out;
  }
  int vector(int64_t count) { return executor_->add_vector(values(count, 1.0).data(), count); }
  int weight(int64_t n, int64_t k, int64_t poisoned = -1) {
    std::vector<float> data = values(n * k, 0.2);
    if (poisoned >= 0) data[static_cast<size_t>(poisoned * k)] = std::numeric_limits<float>::quiet_NaN();
    WeightSource source{};
    source.format = WeightFormat::f32;
    source.n = n;
    source.k = k;
    source.data = data.data();
    source.row_stride = k * 4;
    return executor_->add_weight(source);
  }

  std::mt19937 random_;
  std::unique_ptr<Executor> executor_;
};

struct Step {
  std::vector<int32_t> tokens, query, context, tables, rows;
  int64_t width = kContext / kPage;

  // `count` tokens of a sequence from position `first` on, logits after each.
  void add(const std::vector<int32_t>& sequence, int64_t first, int64_t count, int32_t first_block) {
    for (int64_t i = 0; i < count; ++i) {
      rows.push_back(static_cast<int32_t>(tokens.size()));
      tokens.push_back(sequence[static_cast<size_t>(first + i)]);
    }
    query.push_back(static_cast<int32_t>(count));
    context.push_back(static_cast<int32_t>(first + count));
    for (int64_t b = 0; b < width; ++b) tables.push_back(b * kPage < first + count ? first_block + static_cast<int32_t>(b) : -1);
  }

  StepInput input() const {
    return {tokens.data(), static_cast<int64_t>(tokens.size()), query.data(), context.data(),
            static_cast<int64_t>(query.size()), tables.data(), width, rows.data(), static_cast<int64_t>(rows.size())};
  }
  std::vector<float> run(Executor& executor) const {
    const float* logits = executor.step(input());
    return {logits, logits + rows.size() * kVocab};
  }
};

std::vector<int32_t> random_tokens(std::mt19937& random, int64_t count) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int32_t& token : tokens) token = static_cast<int32_t>(random() % kPoison);
  return tokens;
}

bool same(const float* a, const float* b, size_t count) { return std::memcmp(a, b, count * sizeof(float)) == 0; }

// Decoding one by one, in the company of others, and in chunks gives what one prefill gave.
void test_invariance(Isa isa, int threads, const Sizes& sizes, Checks& c) {
  const std::string where = std::string(isa_name(isa)) + ", " + std::to_string(threads) + " threads";
  Model model(isa, threads, sizes);
  std::mt19937 random(11);
  const int64_t length = 600;
  const std::vector<int32_t> a = random_tokens(random, length), b = random_tokens(random, 90);

  Step whole;
  whole.add(a, 0, length, 0);
  const std::vector<float> expected = whole.run(model.executor());
  Step whole_b;
  whole_b.add(b, 0, 90, 20);
  const std::vector<float> expected_b = whole_b.run(model.executor());

  int64_t at = 0, at_b = 0;
  while (at < length || at_b < 90) {
    Step step;
    const int64_t take = std::min<int64_t>(length - at, at < 250 ? 1 + static_cast<int64_t>(random() % 90) : random() % 3 ? 1 : 40);
    const int64_t take_b = std::min<int64_t>(90 - at_b, random() % 2 ? 1 : 7);
    // The order of the batch changes too.
    const bool swap = random() % 2;
    if (swap && take_b > 0) step.add(b, at_b, take_b, 50);
    const size_t row_a = step.rows.size();
    if (take > 0) step.add(a, at, take, 25);
    if (!swap && take_b > 0) step.add(b, at_b, take_b, 50);
    const size_t row_b = swap ? 0 : step.rows.size() - static_cast<size_t>(take_b);
    const std::vector<float> got = step.run(model.executor());
    CHECK(c, same(got.data() + row_a * kVocab, expected.data() + at * kVocab, static_cast<size_t>(take * kVocab)),
          where + ": tokens from " + std::to_string(at) + " on differ");
    CHECK(c, same(got.data() + row_b * kVocab, expected_b.data() + at_b * kVocab, static_cast<size_t>(take_b * kVocab)),
          where + ": the other sequence differs");
    at += take;
    at_b += take_b;
  }
}

void test_threads_agree(Isa isa, const Sizes& sizes, Checks& c) {
  std::mt19937 random(12);
  const std::vector<int32_t> a = random_tokens(random, 300);
  Step step;
  step.add(a, 0, 300, 0);
  Step next;
  next.add(a, 299, 1, 0);
  std::vector<float> expected, expected_next;
  for (const int threads : {1, 2, 3, 6}) {
    Model model(isa, threads, sizes);
    const std::vector<float> got = step.run(model.executor()), got_next = next.run(model.executor());
    if (expected.empty()) expected = got, expected_next = got_next;
    CHECK(c, same(got.data(), expected.data(), got.size()), "prefill with " + std::to_string(threads) + " threads");
    CHECK(c, same(got_next.data(), expected_next.data(), got_next.size()), "decode with " + std::to_string(threads));
    CHECK(c, same(got_next.data(), expected.data() + 299 * kVocab, kVocab), "decode and prefill");
  }
}

// A sequence of NaN leaves its blocks full of them; their next owner must not notice.
void test_reused_blocks(Isa isa, Checks& c) {
  Model model(isa, 2, Sizes{});
  std::mt19937 random(13);
  const std::vector<int32_t> a = random_tokens(random, 40), poison(64, kPoison);
  Step prefill, decode, other;
  prefill.add(a, 0, 32, 0);
  decode.add(a, 32, 1, 0);
  other.add(poison, 0, 64, 0);
  const std::vector<float> expected = prefill.run(model.executor()), expected_next = decode.run(model.executor());
  const std::vector<float> spoiled = other.run(model.executor());
  CHECK(c, std::isnan(spoiled[0]), "the poison works");
  CHECK(c, same(prefill.run(model.executor()).data(), expected.data(), expected.size()), "prefill in used blocks");
  CHECK(c, same(decode.run(model.executor()).data(), expected_next.data(), kVocab), "decode in a used block");
  prefill = Step();
  prefill.add(a, 0, 20, 1);
  (void)other.run(model.executor());
  CHECK(c, same(prefill.run(model.executor()).data(), expected.data(), 20 * kVocab), "part of a used block");
}

// A model of BERT's shape: tables of positions and segments, norms after the sums, attention over whole
// sequences, hidden states as the result.
class Encoder {
 public:
  static constexpr int64_t kHidden = 48, kInner = 80;

  Encoder(Isa isa, int threads) : random_(6) {
    executor_ = std::make_unique<Executor>(
        ExecutorSettings{isa, threads, kVocab, kMaxTokens, kContext, kBlocks, {2, 3, 3, 16, false}});
    Executor& e = *executor_;
    const int none = Executor::kNone;
    const int x = e.add_buffer(kHidden), q = e.add_buffer(kHidden), k = e.add_buffer(kHidden), v = e.add_buffer(kHidden);
    const int attended = e.add_buffer(kHidden), inner = e.add_buffer(kInner);
    e.add_embedding(weight(kVocab, kHidden), x, weight(kContext, kHidden), weight(2, kHidden));
    e.add_layer_norm(x, x, vector(kHidden), vector(kHidden), 1e-6f);
    for (int64_t layer = 0; layer < 2; ++layer) {
      e.add_product({x, none, 0, false, false,
                     {{weight(kHidden, kHidden), vector(kHidden), q, false},
                      {weight(kHidden, kHidden), vector(kHidden), k, false},
                      {weight(kHidden, kHidden), vector(kHidden), v, false}}});
      e.add_attention({layer, q, k, v, attended, none, none, 0, 0, 0.25f, false});
      const bool last = layer == 1;
      if (last) e.add_selection({x, attended});
      e.add_product({attended, none, 0, last, false, {{weight(kHidden, kHidden), vector(kHidden), x, true}}});
      e.add_layer_norm(x, x, vector(kHidden), vector(kHidden), 1e-6f);
      e.add_product({x, none, 0, last, false, {{weight(kInner, kHidden), vector(kInner), inner, false, Activation::gelu}}});
      e.add_product({inner, none, 0, last, false, {{weight(kHidden, kInner), vector(kHidden), x, true}}});
      e.add_layer_norm(x, x, vector(kHidden), vector(kHidden), 1e-6f);
    }
    e.add_output(x, none, 0);
    e.finish();
  }

  Executor& executor() { return *executor_; }
  std::vector<float> run(const Step& step, const std::vector<int32_t>& segments = {}) {
    StepInput input = step.input();
    if (!segments.empty()) input.segments = segments.data();
    const float* states = executor_->step(input);
    return {states, states + step.rows.size() * kHidden};
  }

 private:
  std::vector<float> values(int64_t count) {
    std::normal_distribution<float> distribution(0.0f, 0.4f);
    std::vector<float> out(static_cast<size_t>(count));
    for (float& value : out) value = distribution(random_);
    return out;
  }
  int vector(int64_t count) { return executor_->add_vector(values(count).data(), count); }
  int weight(int64_t n, int64_t k) {
    const std::vector<float> data = values(n * k);
    WeightSource source{};
    source.format = WeightFormat::f32;
    source.n = n;
    source.k = k;
    source.data = data.data();
    source.row_stride = k * 4;
    return executor_->add_weight(source);
  }

  std::mt19937 random_;
  std::unique_ptr<Executor> executor_;
};

// Sequences together, of which one needs several chunks of keys, give what each gave alone.
void test_encoder(Isa isa, Checks& c) {
  std::mt19937 random(15);
  const std::vector<int64_t> lengths{1, 33, 7, 560, 64};
  std::vector<std::vector<int32_t>> sequences;
  for (const int64_t length : lengths) sequences.push_back(random_tokens(random, length));
  std::vector<float> expected;
  for (const int threads : {1, 2, 3, 6}) {
    const std::string where = std::string(isa_name(isa)) + ", encoder, " + std::to_string(threads) + " threads";
    Encoder model(isa, threads);
    Step together;
    std::vector<float> alone;
    int32_t block = 0;
    for (size_t s = 0; s < sequences.size(); ++s) {
      Step one;
      one.add(sequences[s], 0, lengths[s], 3);
      const std::vector<float> states = model.run(one);
      alone.insert(alone.end(), states.begin(), states.end());
      together.add(sequences[s], 0, lengths[s], block);
      block += static_cast<int32_t>((lengths[s] + kPage - 1) / kPage);
    }
    const std::vector<float> got = model.run(together);
    CHECK(c, got.size() == alone.size() && same(got.data(), alone.data(), got.size()), where + ": company changes states");
    if (expected.empty()) expected = got;
    CHECK(c, same(got.data(), expected.data(), got.size()), where + ": threads change states");

    Step some = together;
    some.rows = {0, 40, 664};
    const std::vector<float> few = model.run(some);
    for (size_t i = 0; i < 3; ++i) {
      CHECK(c, same(few.data() + i * Encoder::kHidden, got.data() + some.rows[i] * Encoder::kHidden, Encoder::kHidden),
            where + ": a wanted row differs");
    }
    std::vector<int32_t> segments(together.tokens.size(), 0);
    CHECK(c, same(model.run(together, segments).data(), got.data(), got.size()), where + ": segments are zero by default");
    segments[0] = 1;
    const std::vector<float> other = model.run(together, segments);
    CHECK(c, !same(other.data(), got.data(), Encoder::kHidden), where + ": a segment is not seen");
    CHECK(c, same(other.data() + Encoder::kHidden, got.data() + Encoder::kHidden, got.size() - Encoder::kHidden),
          where + ": a segment is seen by others");
    segments[1] = 2;
    CHECK(c, refuses([&] { model.run(together, segments); }), where + ": an unknown segment");
    Step piece;
    piece.add(sequences[3], 10, 20, 0);
    CHECK(c, refuses([&] { model.run(piece); }), where + ": a piece of a sequence");
  }
}

void test_refusals(Checks& c) {
  Model model(best_isa(), 2, Sizes{});
  Executor& e = model.executor();
  std::mt19937 random(14);
  const std::vector<int32_t> a = random_tokens(random, 40);
  const auto refused = [&](auto change) {
    Step step;
    step.add(a, 0, 40, 0);
    change(step);
    return refuses([&] { step.run(e); });
  };
  CHECK(c, !refused([](Step&) {}), "a good step");
  CHECK(c, refused([](Step& s) { s.tokens[3] = kVocab; }), "token id too large");
  CHECK(c, refused([](Step& s) { s.tokens[3] = -1; }), "token id negative");
  CHECK(c, refused([](Step& s) { s.query[0] = 0; }), "no new tokens");
  CHECK(c, refused([](Step& s) { s.query[0] = 39; }), "query_lens too small");
  CHECK(c, refused([](Step& s) { s.query[0] = INT32_MAX; }), "query_lens too large");
  CHECK(c, refused([](Step& s) { s.context[0] = 39; }), "context shorter than query");
  CHECK(c, refused([](Step& s) { s.context[0] = kContext + 1; }), "context too long");
  CHECK(c, refused([](Step& s) { s.tables[1] = -1; }), "block missing");
  CHECK(c, refused([](Step& s) { s.tables[0] = kBlocks; }), "block id too large");
  CHECK(c, refused([](Step& s) { s.width = 1; }), "block table too narrow");
  CHECK(c, refused([](Step& s) { s.rows[1] = 0; }), "rows not ascending");
  CHECK(c, refused([](Step& s) { s.rows.back() = 40; }), "row past the end");
  CHECK(c, refused([](Step& s) { s.rows[0] = -1; }), "row negative");
  CHECK(c, refused([](Step& s) { s.tokens.clear(); }), "no tokens");
  CHECK(c, refused([](Step& s) { s.tokens.resize(kMaxTokens + 1); }), "too many tokens");
  CHECK(c, refuses([&] { e.add_buffer(3); }), "adding after finish");

  const ExecutorSettings good{Isa::portable, 1, 10, 10, 10, 10, {1, 2, 1, 16}};
  const auto refuses_settings = [&](auto change) {
    ExecutorSettings s = good;
    change(s);
    return refuses([&] { Executor executor(s); });
  };
  CHECK(c, !refuses_settings([](ExecutorSettings&) {}), "good settings");
  CHECK(c, refuses_settings([](ExecutorSettings& s) { s.attention.head_dim = 24; }), "head_dim 24");
  CHECK(c, refuses_settings([](ExecutorSettings& s) { s.attention.head_dim = 512; }), "head_dim 512");
  CHECK(c, refuses_settings([](ExecutorSettings& s) { s.attention.heads = 3, s.attention.kv_heads = 2; }), "heads");
  CHECK(c, refuses_settings([](ExecutorSettings& s) { s.threads = 0; }), "threads");
  CHECK(c, refuses_settings([](ExecutorSettings& s) { s.num_blocks = INT32_MAX - 1, s.attention.layers = 60000; }), "size");
  Executor empty(good);
  CHECK(c, refuses([&] { empty.finish(); }), "a program without logits");
  CHECK(c, refuses([&] { empty.step({}); }), "a step before finish");
  CHECK(c, refuses([&] { empty.add_embedding(0, 0); }), "unknown numbers");
  const int buffer = empty.add_buffer(16), ones = empty.add_vector(std::vector<float>(16, 1.0f).data(), 16);
  CHECK(c, refuses([&] { empty.add_output(buffer, Executor::kNone, 0); }), "an output of rows that are not selected");
  CHECK(c, refuses([&] { empty.add_layer_norm(buffer, buffer, ones, 7, 0); }), "an unknown bias");
  empty.add_layer_norm(buffer, buffer, ones, ones, 0);
  empty.add_selection({buffer});
  empty.add_output(buffer, Executor::kNone, 0);
  CHECK(c, refuses([&] { empty.add_output(buffer, Executor::kNone, 0); }), "two results");
}

}  // namespace

int main() {
  Checks c;
  for (int i = 0; i <= static_cast<int>(best_isa()); ++i) {
    const Isa isa = static_cast<Isa>(i);
    Sizes grouped;                       // 3 query heads a key head
    grouped.heads = 3, grouped.kv_heads = 1, grouped.dim = 32, grouped.head_norm = true;
    Sizes wide;                          // a group larger than a tile
    wide.heads = 14, wide.kv_heads = 1;
    for (const Sizes& sizes : {Sizes{}, grouped, wide}) {
      test_invariance(isa, 3, sizes, c);
      test_threads_agree(isa, sizes, c);
    }
    test_invariance(isa, 1, Sizes{}, c);
    test_reused_blocks(isa, c);
    test_encoder(isa, c);
    std::printf("test_executor: %s, %d checks failed so far\n", isa_name(isa), c.failed);
  }
  test_refusals(c);
  return c.report("test_executor");
}
