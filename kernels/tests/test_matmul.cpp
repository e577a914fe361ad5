// Tests of the matrix products: every instruction set of this machine, format, odd shapes and row counts
// against sums in double precision. `test_matmul [portable|avx2|avx512]` stops at the named set.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "matmul.h"
#include "matmul_weights.h"

using namespace pagoda;

namespace {

std::vector<float> random_rows(int64_t rows, int64_t k, float size, std::mt19937& random) {
  std::vector<float> x(static_cast<size_t>(rows * k));
  std::normal_distribution<float> normal(0, size);
  for (float& v : x) v = normal(random);
  return x;
}

const std::byte* prepared_row(const Activations& a, int64_t t) {
  return static_cast<const std::byte*>(a.data) + t * a.row_stride;
}

const QuantisedGroup* groups_of(const Activations& a, int64_t t) {
  return reinterpret_cast<const QuantisedGroup*>(prepared_row(a, t));
}

// The prepared activations as numbers.
double activation(const Activations& a, int64_t t, int64_t i) {
  const std::byte* row = prepared_row(a, t);
  switch (a.format) {
    case ActivationFormat::f32: return reinterpret_cast<const float*>(row)[i];
    case ActivationFormat::bf16: return bfloat_value(reinterpret_cast<const uint16_t*>(row)[i]);
    default: {
      const QuantisedGroup& g = groups_of(a, t)[i / kGroup];
      return static_cast<double>(g.scale) * g.q[i % kGroup];
    }
  }
}

Activations prepare(ActivationBuffer& buffer, Isa isa, ActivationFormat format, const std::vector<float>& x,
                    int64_t rows, int64_t k) {
  for (int64_t t = 0; t < rows; ++t) buffer.prepare_row(isa, format, t, x.data() + t * k, k);
  return buffer.view(format, rows, k);
}

bool same_bits(const float* a, const float* b, size_t count) { return std::memcmp(a, b, count * 4) == 0; }

void test_product(Isa isa, WeightFormat format, int64_t n, int64_t k, int64_t rows, float size,
                  Failures& f) {
  std::mt19937 random(static_cast<unsigned>(n * 7919 + k * 31 + rows));
  const std::string what = std::string(isa_name(isa)) + " " + kNames[static_cast<int>(format)] + " n=" +
                           std::to_string(n) + " k=" + std::to_string(k) + " rows=" + std::to_string(rows);
  const Weights weights(format, n, k, random);
  PackedWeight packed(isa, format, n, k);
  packed.pack(weights.source, 0, packed.blocks() / 2);
  packed.pack(weights.source, packed.blocks() / 2, packed.blocks());

  std::vector<float> row(static_cast<size_t>(k));
  for (int64_t o = 0; o < n; ++o) {
    packed.dequantize_row(o, row.data());
    bool exact = true;
    for (int64_t i = 0; i < k; ++i) exact = exact && row[i] == static_cast<float>(weights.values[o * k + i]);
    CHECK(f, exact, what + " weight row " + std::to_string(o));
  }

  const std::vector<float> x = random_rows(rows, k, size, random);
  const ActivationFormat prepared = activation_format(isa, format);
  ActivationBuffer buffer(rows, k);
  const Activations a = prepare(buffer, isa, prepared, x, rows, k);

  // Columns past n on each row show writes past the tail.
  const int64_t stride = n + 3;
  const float sentinel = 12345.0f;
  std::vector<float> out(static_cast<size_t>(rows * stride), sentinel);
  matmul(a, 0, rows, packed, 0, packed.blocks(), nullptr, Store::assign, out.data(), stride);

  // Each of k (or k/32) additions rounds a partial sum no larger than the sum of magnitudes. For the
  // quantised formats a group of products is exact, then scaled with at most three roundings.
  const double terms = static_cast<double>(quantised(format) ? 2 * (k / kGroup) : k);
  const double steps = terms + 4;
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t o = 0; o < n; ++o) {
      double exact = 0, magnitude = 0;
      for (int64_t i = 0; i < k; ++i) {
        const double w = weights.values[o * k + i];
        const double v = activation(a, t, i);
        exact += w * v;
        magnitude += std::fabs(w * v);
      }
      if (format == WeightFormat::int4_offset) {
        // d * q and m cancel within a weight; the bound is on the parts.
        for (int64_t i = 0; i < k; ++i) magnitude += 64.0 * std::fabs(activation(a, t, i));
      }
      const double error = std::fabs(out[t * stride + o] - exact);
      CHECK(f, error <= steps * 0x1p-23 * magnitude + 1e-30,
            what + " t=" + std::to_string(t) + " n=" + std::to_string(o) + " got " +
                std::to_string(out[t * stride + o]) + " want " + std::to_string(exact));
    }
    for (int64_t o = n; o < stride; ++o) CHECK(f, out[t * stride + o] == sentinel, what + " tail");
  }

  // The same bits for each row alone, and for ranges of rows and blocks.
  std::vector<float> alone(static_cast<size_t>(stride), sentinel);
  ActivationBuffer single(1, k);
  for (int64_t t = 0; t < rows; ++t) {
    single.prepare_row(isa, prepared, 0, x.data() + t * k, k);
    matmul(single.view(prepared, 1, k), 0, 1, packed, 0, packed.blocks(), nullptr, Store::assign,
           alone.data(), stride);
    const bool same = same_bits(alone.data(), out.data() + t * stride, static_cast<size_t>(stride));
    CHECK(f, same, what + " alone t=" + std::to_string(t));
  }
  std::vector<float> parts(out.size(), sentinel);
  for (int64_t b = 0, width = 1; b < packed.blocks(); b += width, width = width % 3 + 1) {
    const int64_t end = b + width < packed.blocks() ? b + width : packed.blocks();
    const int64_t cut = (b * 5 + 1) % (rows + 1);
    matmul(a, 0, cut, packed, b, end, nullptr, Store::assign, parts.data(), stride);
    matmul(a, cut, rows, packed, b, end, nullptr, Store::assign, parts.data(), stride);
  }
  CHECK(f, same_bits(parts.data(), out.data(), out.size()), what + " in parts");

  // Bias and residual: one float32 addition each, after the product.
  const std::vector<float> bias = random_rows(1, n, 10, random);
  const std::vector<float> start = random_rows(rows, stride, 10, random);
  for (const bool with_bias : {false, true}) {
    std::vector<float> added = start, expected = start, assigned(out.size(), sentinel);
    const float* b = with_bias ? bias.data() : nullptr;
    matmul(a, 0, rows, packed, 0, packed.blocks(), b, Store::add, added.data(), stride);
    matmul(a, 0, rows, packed, 0, packed.blocks(), b, Store::assign, assigned.data(), stride);
    for (int64_t t = 0; t < rows; ++t) {
      for (int64_t o = 0; o < n; ++o) {
        const volatile float value = with_bias ? out[t * stride + o] + bias[o] : out[t * stride + o];
        CHECK(f, assigned[t * stride + o] == value, what + " bias");
        expected[t * stride + o] += value;
      }
    }
    CHECK(f, same_bits(added.data(), expected.data(), added.size()), what + " add");
  }
}

// Prepared rows against their definition, and the same bits from every instruction set.
void test_activations(Isa isa, Failures& f) {
  std::mt19937 random(5);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const int64_t k = 32 * 11;
  std::vector<float> x = random_rows(1, k, 1, random);
  std::fill(x.begin(), x.begin() + 32, 0.0f);
  for (int i = 32; i < 64; ++i) x[i] *= 1e4f;
  for (int i = 64; i < 96; ++i) x[i] *= 1e-40f;
  x[100] = nan;
  x[130] = infinity;
  x[170] = -infinity;
  for (int i = 192; i < 224; ++i) x[i] = i % 2 ? -3.0e38f : 3.4e38f;
  for (int i = 224; i < 256; ++i) x[i] = static_cast<float>(i - 224) + 0.5f;  // ties
  x[255] = -127.0f;
  for (int i = 256; i < 288; ++i) x[i] = -0.0f;
  for (int i = 288; i < 320; ++i) x[i] *= 1e-35f;

  const std::string what = isa_name(isa);
  ActivationBuffer buffer(2, k), portable(2, k);
  buffer.prepare_row(isa, ActivationFormat::int8, 1, x.data(), k);
  portable.prepare_row(Isa::portable, ActivationFormat::int8, 1, x.data(), k);
  const Activations a = buffer.view(ActivationFormat::int8, 2, k);
  const Activations p = portable.view(ActivationFormat::int8, 2, k);
  const size_t bytes = sizeof(QuantisedGroup) * (k / 32);
  CHECK(f, std::memcmp(groups_of(a, 1), groups_of(p, 1), bytes) == 0, what + " bits");
  for (int64_t i = 0; i < k / 32; ++i) {
    const QuantisedGroup& g = groups_of(a, 1)[i];
    const float* values = x.data() + i * 32;
    float most = 0;
    bool finite = true;
    int sum = 0;
    for (int j = 0; j < 32; ++j) {
      finite = finite && std::isfinite(values[j]);
      most = std::fmax(most, std::fabs(values[j]));
      sum += g.q[j];
      CHECK(f, g.q[j] >= -127, what + " code -128");
    }
    CHECK(f, sum == g.sum && -8 * sum == g.minus_8_sum, what + " sum of codes");
    if (!finite) {
      CHECK(f, std::isnan(g.scale) && std::isnan(g.scaled_sum), what + " not finite");
    } else {
      CHECK(f, g.scale == (most < 1e-36f ? 0.0f : most / 127.0f), what + " scale of a group");
      CHECK(f, g.scaled_sum == g.scale * static_cast<float>(sum), what + " scaled sum of a group");
      for (int j = 0; j < 32; ++j) {
        const float scaled = most < 1e-36f ? 0.0f : values[j] * (127.0f / most);
        CHECK(f, g.q[j] == static_cast<int>(std::nearbyint(scaled)), what + " nearest even");
      }
    }
  }

  // bfloat16: the same values and, in place of a few, exact ties.
  for (int i = 260; i < 280; ++i) {
    const uint32_t tie = 0x3f808000u + (static_cast<uint32_t>(i) << 16);
    std::memcpy(&x[i], &tie, 4);
  }
  for (const int64_t first : {96, 95, 250, 351}) {
    const int64_t used = k - first;
    buffer.prepare_row(isa, ActivationFormat::bf16, 1, x.data() + first, used);
    const std::byte* row = prepared_row(buffer.view(ActivationFormat::bf16, 2, used), 1);
    for (int64_t i = 0; i < used; ++i) {
      uint16_t bits;
      std::memcpy(&bits, row + 2 * i, 2);
      const double want = x[first + i], got = bfloat_value(bits);
      if (std::isnan(want)) {
        CHECK(f, std::isnan(got), what + " bf16 NaN");
      } else if (std::fabs(want) > 3.39e38) {
        CHECK(f, std::isinf(got) && (got > 0) == (want > 0), what + " bf16 infinity");
      } else {
        // Eight significant bits, fewer below the normal numbers.
        int exponent;
        std::frexp(want, &exponent);
        const double step = std::ldexp(1.0, exponent - 8 > -133 ? exponent - 8 : -133);
        CHECK(f, got == std::nearbyint(want / step) * step, what + " bf16 nearest even");
      }
    }
    uint16_t padding = 0;
    if (used % 2) std::memcpy(&padding, row + 2 * used, 2);
    CHECK(f, padding == 0, what + " bf16 padding");
  }
}

// A row with a NaN or an infinity spoils its own outputs only.
void test_not_finite(Isa isa, WeightFormat format, Failures& f) {
  std::mt19937 random(9);
  const int64_t n = 33, k = 64, rows = 5;
  const Weights weights(format, n, k, random);
  PackedWeight packed(isa, format, n, k);
  packed.pack(weights.source, 0, packed.blocks());
  std::vector<float> x = random_rows(rows, k, 1, random), out(rows * n), clean(rows * n);
  const ActivationFormat prepared = activation_format(isa, format);
  ActivationBuffer buffer(rows, k);
  auto product = [&](std::vector<float>& to) {
    const Activations a = prepare(buffer, isa, prepared, x, rows, k);
    matmul(a, 0, rows, packed, 0, packed.blocks(), nullptr, Store::assign, to.data(), n);
  };
  product(clean);
  x[k + 3] = std::numeric_limits<float>::quiet_NaN();
  x[3 * k + 40] = std::numeric_limits<float>::infinity();
  product(out);
  const std::string what = std::string(isa_name(isa)) + " " + kNames[static_cast<int>(format)];
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t o = 0; o < n; ++o) {
      const bool expected = t == 1   ? std::isnan(out[t * n + o])
                            : t == 3 ? !std::isfinite(out[t * n + o])
                                     : out[t * n + o] == clean[t * n + o];
      CHECK(f, expected, what + " with a NaN, row " + std::to_string(t));
    }
  }
}

// Exact sums and the same float32 operations: AVX2 and AVX-512 agree bit for bit where their activations
// do.
void test_same_between_sets(WeightFormat format, Failures& f) {
  if (best_isa() != Isa::avx512 || format == WeightFormat::bf16) return;
  std::mt19937 random(11);
  const int64_t n = 70, k = 352, rows = 7;
  const Weights weights(format, n, k, random);
  const std::vector<float> x = random_rows(rows, k, 1, random);
  std::vector<float> out[2];
  for (const Isa isa : {Isa::avx2, Isa::avx512}) {
    PackedWeight packed(isa, format, n, k);
    packed.pack(weights.source, 0, packed.blocks());
    ActivationBuffer buffer(rows, k);
    std::vector<float>& o = out[isa == Isa::avx512];
    o.resize(rows * n);
    const Activations a = prepare(buffer, isa, activation_format(isa, format), x, rows, k);
    matmul(a, 0, rows, packed, 0, packed.blocks(), nullptr, Store::assign, o.data(), n);
  }
  CHECK(f, same_bits(out[0].data(), out[1].data(), out[0].size()), kNames[static_cast<int>(format)]);
}

template <typename Error, typename Function>
bool throws(Function function) {
  try {
    function();
  } catch (const Error&) {
    return true;
  }
  return false;
}

void test_misuse(Isa isa, Failures& f) {
  using Argument = std::invalid_argument;
  CHECK(f, throws<Argument>([&] { PackedWeight(isa, WeightFormat::int4, 16, 33); }), "k not in groups");
  CHECK(f, throws<Argument>([&] { PackedWeight(isa, WeightFormat::f32, 0, 32); }), "n of zero");
  CHECK(f, throws<Argument>([&] { PackedWeight(isa, WeightFormat::f32, 16, -1); }), "negative k");
  std::mt19937 random(3);
  const Weights weights(WeightFormat::int8, 16, 32, random);
  PackedWeight packed(isa, WeightFormat::int8, 16, 32);
  WeightSource other = weights.source;
  other.n = 17;
  CHECK(f, throws<Argument>([&] { packed.pack(other, 0, 1); }), "another shape");
  other = weights.source;
  other.scales = nullptr;
  CHECK(f, throws<Argument>([&] { packed.pack(other, 0, 1); }), "no scales");
  CHECK(f, throws<std::out_of_range>([&] { packed.pack(weights.source, 0, 2); }), "blocks past the end");
  packed.pack(weights.source, 0, 1);
  ActivationBuffer buffer(2, 64);
  float out[16];
  CHECK(f, throws<Argument>([&] {
          const Activations floats = buffer.view(ActivationFormat::f32, 1, 32);
          matmul(floats, 0, 1, packed, 0, 1, nullptr, Store::assign, out, 16);
        }), "activations of another format");
  CHECK(f, throws<std::out_of_range>([&] { packed.dequantize_row(16, out); }), "row past the end");
  const float x[65] = {};
  auto prepare = [&](ActivationFormat format, int64_t row, int64_t k) {
    buffer.prepare_row(isa, format, row, x, k);
  };
  CHECK(f, throws<std::out_of_range>([&] { prepare(ActivationFormat::f32, 2, 64); }), "row");
  CHECK(f, throws<std::out_of_range>([&] { prepare(ActivationFormat::f32, 0, 65); }), "k");
  CHECK(f, throws<Argument>([&] { prepare(ActivationFormat::int8, 0, 31); }), "k not in groups");
}

}  // namespace

int main(int argc, char** argv) {
  Isa most = best_isa();
  if (argc > 1) {
    for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
      if (std::string(argv[1]) == isa_name(isa) && isa < most) most = isa;
    }
  }
  Failures f;
  for (int i = 0; i <= static_cast<int>(most); ++i) {
    const Isa isa = static_cast<Isa>(i);
    const int before = f.count;
    test_activations(isa, f);
    test_misuse(isa, f);
    for (const WeightFormat format : kFormats) {
      test_not_finite(isa, format, f);
      for (const int64_t rows : {1, 2, 3, 4, 5, 8, 12, 13, 25, 32, 33, 100}) {
        test_product(isa, format, 37, 96, rows, 1, f);
        test_product(isa, format, 16 * 5, quantised(format) ? 32 : 1, rows, 1, f);
        if (!quantised(format)) test_product(isa, format, 65, 67, rows, 1, f);
      }
      test_product(isa, format, 1, 608, 3, 1, f);
      test_product(isa, format, 15, 320, 14, 1e4f, f);
      test_product(isa, format, 40, 4096, 14, 1e4f, f);   // two panels of rows at 4096 float32
      test_product(isa, format, 33, 4864, 40, 1e-3f, f);
    }
    std::printf("%-8s %s\n", isa_name(isa), f.count == before ? "ok" : "FAILED");
  }
  if (most == best_isa()) {
    for (const WeightFormat format : kFormats) test_same_between_sets(format, f);
  }
  std::printf("%d failures\n", f.count);
  return f.count == 0 ? 0 : 1;
}
