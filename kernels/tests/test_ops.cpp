// Tests of the row operations and of attention on every instruction set of this machine, against sums
// in double precision.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "ops.h"

using namespace pagoda;

namespace {

std::vector<float> normal(std::mt19937& random, size_t count, float spread = 1.0f) {
  std::normal_distribution<float> distribution(0.0f, spread);
  std::vector<float> values(count);
  for (float& value : values) value = distribution(random);
  return values;
}

float bfloat(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}

// Round to nearest even in double arithmetic.
double nearest_bfloat(double x) {
  if (x == 0) return x;
  int exponent = 0;
  std::frexp(x, &exponent);
  const double unit = std::ldexp(1.0, exponent - 8);
  return std::nearbyint(x / unit) * unit;
}

void test_exponential(const OpKernels& ops, Checks& c) {
  std::vector<float> x;
  for (double v = -87.2; v < 88.2; v += 0.00371) x.push_back(static_cast<float>(v));
  std::vector<float> got(x.size());
  ops.exponential(x.data(), static_cast<int64_t>(x.size()), got.data());
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = std::exp(static_cast<double>(x[i]));
    const double unit = std::nextafter(static_cast<float>(exact), INFINITY) - static_cast<float>(exact);
    worst = std::max(worst, std::abs(got[i] - exact) / unit);
  }
  CHECK(c, worst < 2.0, "error of e^x in units in the last place is " + std::to_string(worst));

  const float edge[] = {0.0f, -88.0f, -1e30f, -INFINITY, 90.0f, INFINITY, NAN};
  float out[7];
  ops.exponential(edge, 7, out);
  CHECK(c, out[0] == 1.0f, "e^0");
  CHECK(c, out[1] == 0.0f && out[2] == 0.0f && out[3] == 0.0f, "far below zero");
  CHECK(c, out[4] > 2e38f && std::isfinite(out[4]) && out[5] == out[4], "saturates above");
  CHECK(c, std::isnan(out[6]), "NaN stays NaN");
}

void test_norm(const OpKernels& ops, std::mt19937& random, Checks& c) {
  for (const int64_t n : {1, 7, 16, 31, 32, 48, 576, 1000}) {
    const std::vector<float> x = normal(random, static_cast<size_t>(n), 3.0f), w = normal(random, static_cast<size_t>(n));
    std::vector<float> out(static_cast<size_t>(n) + 1, 123.0f);
    ops.rms_norm(x.data(), w.data(), 1e-5f, n, out.data());
    double squares = 0;
    for (const float v : x) squares += static_cast<double>(v) * v;
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(n) + 1e-5);
    double worst = 0;
    for (int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<size_t>(i);
      worst = std::max(worst, std::abs(out[at] - x[at] * scale * w[at]) / (1e-6 + std::abs(x[at] * scale * w[at])));
    }
    CHECK(c, worst < 2e-6, "norm of " + std::to_string(n) + " differs by " + std::to_string(worst));
    CHECK(c, out.back() == 123.0f, "norm writes past its row");
    std::vector<float> in_place = x;
    ops.rms_norm(in_place.data(), w.data(), 1e-5f, n, in_place.data());
    CHECK(c, std::equal(in_place.begin(), in_place.end(), out.begin()), "norm in place");
  }
}

void test_layer_norm(const OpKernels& ops, std::mt19937& random, Checks& c) {
  for (const int64_t n : {1, 7, 16, 31, 32, 48, 384, 1000}) {
    std::vector<float> x = normal(random, static_cast<size_t>(n), 3.0f);
    for (float& v : x) v += 5.0f;   // a mean that matters
    const std::vector<float> w = normal(random, x.size()), b = normal(random, x.size());
    std::vector<float> out(x.size() + 1, 123.0f);
    ops.layer_norm(x.data(), w.data(), b.data(), 1e-6f, n, out.data());
    double mean = 0, variance = 0;
    for (const float v : x) mean += v / static_cast<double>(n);
    for (const float v : x) variance += (v - mean) * (v - mean) / static_cast<double>(n);
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double exact = (x[i] - mean) / std::sqrt(variance + 1e-6) * w[i] + b[i];
      worst = std::max(worst, std::abs(out[i] - exact));
    }
    // A single value is its own mean.
    CHECK(c, worst < 2e-5, "layer norm of " + std::to_string(n) + " differs by " + std::to_string(worst));
    CHECK(c, out.back() == 123.0f, "layer norm writes past its row");
    std::vector<float> in_place = x;
    ops.layer_norm(in_place.data(), w.data(), b.data(), 1e-6f, n, in_place.data());
    CHECK(c, std::equal(in_place.begin(), in_place.end(), out.begin()), "layer norm in place");
  }
}

double exactly(Activation kind, double x) {
  switch (kind) {
    case Activation::gelu: return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Activation::gelu_tanh: return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::relu: return std::max(x, 0.0);
    case Activation::tanh: return std::tanh(x);
    default: return x;
  }
}

void test_activations(const OpKernels& ops, Checks& c) {
  std::vector<float> x{0.0f, -0.0f, 1e-30f, -1e-30f, 50.0f, -50.0f, 1e4f, -1e4f, 1e30f, -1e30f};
  for (double v = -12.0; v < 12.0; v += 0.00173) x.push_back(static_cast<float>(v));
  for (const Activation kind : {Activation::gelu, Activation::gelu_tanh, Activation::relu, Activation::tanh}) {
    std::vector<float> got = x;
    ops.activate(kind, got.data(), static_cast<int64_t>(x.size()));
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double error = std::abs(got[i] - exactly(kind, x[i])) / std::max(1.0, std::abs(static_cast<double>(x[i])));
      worst = std::max(worst, std::isnan(error) ? 1.0 : error);
    }
    const std::string name = "activation " + std::to_string(static_cast<int>(kind));
    CHECK(c, worst < 2e-7, name + " is off by " + std::to_string(worst * 1e9) + "e-9");
    for (const int64_t n : {1, 5, 17}) {   // the end of a row is treated like its middle
      std::vector<float> row(x.begin() + 100, x.begin() + 118);
      const float after = row[static_cast<size_t>(n)];
      ops.activate(kind, row.data(), n);
      CHECK(c, std::equal(row.begin(), row.begin() + n, got.begin() + 100), name + " of a short row");
      CHECK(c, row[static_cast<size_t>(n)] == after, name + " writes past its row");
    }
    float nan[] = {NAN};
    ops.activate(kind, nan, 1);
    CHECK(c, std::isnan(nan[0]), name + " keeps NaN");
  }
}

void test_silu(const OpKernels& ops, std::mt19937& random, Checks& c) {
  for (const int64_t n : {1, 16, 33, 96}) {
    std::vector<float> gate = normal(random, static_cast<size_t>(n), 10.0f);
    if (n == 33) gate[3] = -1000.0f, gate[4] = 1000.0f;
    const std::vector<float> up = normal(random, static_cast<size_t>(n));
    std::vector<float> got = gate;
    ops.silu_multiply(got.data(), up.data(), n);
    for (size_t i = 0; i < gate.size(); ++i) {
      const double exact = gate[i] / (1.0 + std::exp(-static_cast<double>(gate[i]))) * up[i];
      CHECK(c, std::abs(got[i] - exact) <= 1e-6 * std::abs(exact) + 1e-30, "silu of " + std::to_string(gate[i]));
    }
  }
}

void test_heads(const OpKernels& ops, std::mt19937& random, Checks& c) {
  for (const int64_t dim : {16, 32, 48, 64, 128, 256}) {
    for (const bool normed : {false, true}) {
      const auto half = static_cast<size_t>(dim / 2);
      const std::vector<float> x = normal(random, static_cast<size_t>(dim)), w = normal(random, static_cast<size_t>(dim));
      std::vector<float> cosine(3 * half), sine(3 * half);
      for (size_t i = 0; i < cosine.size(); ++i) {
        cosine[i] = static_cast<float>(std::cos(0.1 * static_cast<double>(i)));
        sine[i] = static_cast<float>(std::sin(0.1 * static_cast<double>(i)));
      }
      double squares = 0;
      for (const float v : x) squares += static_cast<double>(v) * v;
      const double scale = normed ? 1.0 / std::sqrt(squares / static_cast<double>(dim) + 1e-6) : 1.0;
      const HeadTransform head{dim, normed ? w.data() : nullptr, 1e-6f, cosine.data(), sine.data()};
      std::vector<uint16_t> out(static_cast<size_t>(dim) + 1, 7);
      ops.transform_head(head, x.data(), 2, out.data());
      for (size_t i = 0; i < half; ++i) {
        const double a = x[i] * scale * (normed ? w[i] : 1.0), b = x[i + half] * scale * (normed ? w[i + half] : 1.0);
        const double co = cosine[2 * half + i], si = sine[2 * half + i];
        const double first = a * co - b * si, second = b * co + a * si;
        // Half a unit in the last of eight bits, and a little for the float arithmetic before.
        CHECK(c, std::abs(bfloat(out[i]) - first) <= std::abs(first) * 0.00392 + 1e-6, "first half of a head");
        CHECK(c, std::abs(bfloat(out[i + half]) - second) <= std::abs(second) * 0.00392 + 1e-6, "second half");
      }
      CHECK(c, out.back() == 7, "a head writes past its end");
    }
  }
}

void test_rounding(const OpKernels& ops, std::mt19937& random, Checks& c) {
  std::vector<float> x = normal(random, 997, 100.0f);
  x[5] = 1.00390625f;   // halfway between 1 and the next bfloat16: to even
  x[6] = 1.01171875f;   // halfway, to even upwards
  x[7] = 0.0f;
  std::vector<uint16_t> out(x.size());
  ops.round_values(x.data(), static_cast<int64_t>(x.size()), out.data());
  for (size_t i = 0; i < x.size(); ++i) CHECK(c, bfloat(out[i]) == nearest_bfloat(x[i]), "rounding to bfloat16");
  const float odd[] = {NAN, INFINITY, -INFINITY};
  uint16_t bits[3];
  ops.round_values(odd, 3, bits);
  CHECK(c, std::isnan(bfloat(bits[0])), "NaN stays NaN");
  CHECK(c, bfloat(bits[1]) == INFINITY && bfloat(bits[2]) == -INFINITY, "infinities stay");
}

// A cache of one head with its blocks in a shuffled order.
struct Cache {
  int64_t dim, keys;
  std::vector<float> k, v;            // as rounded, (keys, dim)
  std::vector<uint16_t> memory;
  std::vector<int32_t> blocks;

  Cache(int64_t dim_, int64_t keys_, std::mt19937& random, float spread) : dim(dim_), keys(keys_) {
    const int64_t pages = (keys + kPage - 1) / kPage;
    blocks.resize(static_cast<size_t>(pages));
    for (int64_t b = 0; b < pages; ++b) blocks[static_cast<size_t>(b)] = static_cast<int32_t>(b);
    std::shuffle(blocks.begin(), blocks.end(), random);
    memory.assign(static_cast<size_t>(pages * stride()), 0);
    k.resize(static_cast<size_t>(keys * dim));
    v.resize(k.size());
    std::normal_distribution<float> distribution(0.0f, spread);
    for (int64_t key = 0; key < keys; ++key) {
      uint16_t* block = memory.data() + blocks[static_cast<size_t>(key / kPage)] * stride();
      const int64_t slot = key % kPage;
      for (int64_t d = 0; d < dim; ++d) {
        uint16_t& kbits = block[d / 2 * 2 * kPage + 2 * slot + d % 2];
        uint16_t& vbits = block[kPage * dim + slot / 2 * 2 * dim + 2 * d + slot % 2];
        kbits = static_cast<uint16_t>(bits(distribution(random)) >> 16);
        vbits = static_cast<uint16_t>(bits(distribution(random)) >> 16);
        k[static_cast<size_t>(key * dim + d)] = bfloat(kbits);
        v[static_cast<size_t>(key * dim + d)] = bfloat(vbits);
      }
    }
  }

  static uint32_t bits(float x) {
    uint32_t b;
    std::memcpy(&b, &x, 4);
    return b;
  }
  int64_t stride() const { return 2 * kPage * dim; }
};

struct Answer {
  std::vector<float> rows;   // (rows, dim)
};

// All chunks of a tile, merged in order.
Answer attend(const OpKernels& ops, const Cache& cache, const std::vector<uint16_t>& queries,
              const std::vector<int32_t>& last, float scale) {
  const auto rows = static_cast<int64_t>(last.size());
  AttentionTile tile{};
  tile.rows = rows;
  tile.head_dim = cache.dim;
  tile.queries = queries.data();
  tile.last = last.data();
  tile.blocks = cache.blocks.data();
  tile.cache = cache.memory.data();
  tile.block_stride = cache.stride();
  tile.value_offset = kPage * cache.dim;
  tile.scale = scale;
  const auto scratch = std::make_unique<AttentionScratch>();
  const auto total = std::make_unique<Partial>(), part = std::make_unique<Partial>();
  const int32_t most = *std::max_element(last.begin(), last.end());
  ops.attention_chunk(tile, 0, *scratch, *total);
  for (int64_t first = kChunk; first <= most; first += kChunk) {
    ops.attention_chunk(tile, first, *scratch, *part);
    for (int64_t r = 0; r < rows; ++r) {
      if (last[static_cast<size_t>(r)] < first) continue;
      ops.merge(total->highest[r], total->sum[r], total->weighted + r * cache.dim, part->highest[r], part->sum[r],
                part->weighted + r * cache.dim, cache.dim);
    }
  }
  Answer answer{std::vector<float>(static_cast<size_t>(rows * cache.dim))};
  for (int64_t r = 0; r < rows; ++r) {
    ops.finish(total->weighted + r * cache.dim, total->sum[r], cache.dim, answer.rows.data() + r * cache.dim);
  }
  return answer;
}

void test_attention(const OpKernels& ops, std::mt19937& random, Checks& c) {
  for (const int64_t dim : {16, 48, 64, 80, 128, 256}) {
    for (const int64_t keys : {1, 5, 32, 33, 256, 257, 700}) {
      const float spread = keys == 700 ? 3.0f : 1.0f;
      const Cache cache(dim, keys, random, spread);
      const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(dim)));
      for (const int64_t rows : {1, 3, 7, 12}) {
        std::vector<uint16_t> queries(static_cast<size_t>(rows * dim));
        const std::vector<float> q = normal(random, queries.size());
        ops.round_values(q.data(), static_cast<int64_t>(q.size()), queries.data());
        std::vector<int32_t> last;
        for (int64_t r = 0; r < rows; ++r) {
          last.push_back(static_cast<int32_t>(std::max<int64_t>(0, keys - 1 - (rows - 1 - r) * (keys > 300 ? 60 : 1))));
        }
        const Answer answer = attend(ops, cache, queries, last, scale);
        const std::string where = "dim " + std::to_string(dim) + ", keys " + std::to_string(keys) + ", rows " + std::to_string(rows);
        double worst = 0;
        for (int64_t r = 0; r < rows; ++r) {
          const int64_t seen = last[static_cast<size_t>(r)] + 1;
          std::vector<double> weights(static_cast<size_t>(seen));
          double highest = -INFINITY, sum = 0;
          for (int64_t key = 0; key < seen; ++key) {
            double score = 0;
            for (int64_t d = 0; d < dim; ++d) {
              score += static_cast<double>(bfloat(queries[static_cast<size_t>(r * dim + d)])) *
                       cache.k[static_cast<size_t>(key * dim + d)];
            }
            weights[static_cast<size_t>(key)] = score * scale;
            highest = std::max(highest, score * scale);
          }
          for (double& w : weights) sum += w = std::exp(w - highest);
          for (int64_t d = 0; d < dim; ++d) {
            double exact = 0, size = 0;
            for (int64_t key = 0; key < seen; ++key) {
              const double term = weights[static_cast<size_t>(key)] / sum * cache.v[static_cast<size_t>(key * dim + d)];
              exact += term;
              size += std::abs(term);
            }
            // Each weight is off by at most 2^-9 of itself (bfloat16), and so is their sum.
            worst = std::max(worst, std::abs(answer.rows[static_cast<size_t>(r * dim + d)] - exact) / (size + 1e-30));
          }
        }
        CHECK(c, worst <= 0.0045, where + ": off by " + std::to_string(worst) + " of the terms' size");

        // A row alone has the bits it has in a tile.
        for (int64_t r = 0; r < rows; ++r) {
          const std::vector<uint16_t> one(queries.begin() + r * dim, queries.begin() + (r + 1) * dim);
          const Answer single = attend(ops, cache, one, {last[static_cast<size_t>(r)]}, scale);
          CHECK(c, std::equal(single.rows.begin(), single.rows.end(), answer.rows.begin() + r * dim),
                where + ": row " + std::to_string(r) + " differs alone");
        }
      }
    }
  }
}

}  // namespace

int main() {
  Checks c;
  for (int i = 0; i <= static_cast<int>(best_isa()); ++i) {
    const OpKernels ops = ops_for(static_cast<Isa>(i));
    std::mt19937 random(17);
    test_exponential(ops, c);
    test_norm(ops, random, c);
    test_layer_norm(ops, random, c);
    test_activations(ops, c);
    test_silu(ops, random, c);
    test_heads(ops, random, c);
    test_rounding(ops, random, c);
    test_attention(ops, random, c);
    std::printf("test_ops: %s, %d checks failed so far\n", isa_name(static_cast<Isa>(i)), c.failed);
  }
  return c.report("test_ops");
}
