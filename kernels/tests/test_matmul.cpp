// Tests of the matrix products: every instruction set of this machine, format, odd shapes and row counts
// against sums in double precision. `test_matmul [portable|avx2|avx512]` stops at the named set.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "matmul.h"

using namespace pagoda;

namespace {

struct Failures {
  int count = 0;
  void add(const char* file, int line, const std::string& what) {
    if (++count <= 20) std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  }
};

#define CHECK(failures, condition, what) \
  do {                                   \
    if (!(condition)) (failures).add(__FILE__, __LINE__, std::string(#condition) + ": " + (what)); \
  } while (false)

constexpr WeightFormat kFormats[] = {WeightFormat::f32,  WeightFormat::f16,  WeightFormat::bf16,
                                     WeightFormat::int8, WeightFormat::int4, WeightFormat::int4_offset};
constexpr const char* kNames[] = {"f32", "f16", "bf16", "int8", "int4", "int4_offset"};

bool quantised(WeightFormat f) { return static_cast<int>(f) >= static_cast<int>(WeightFormat::int8); }

// binary16 to double by its definition, independent of the library's conversion.
double half_value(uint16_t h) {
  const int exponent = (h >> 10) & 31, fraction = h & 1023;
  const double sign = h & 0x8000 ? -1.0 : 1.0;
  if (exponent == 31) return fraction ? std::nan("") : sign * INFINITY;
  return exponent ? sign * std::ldexp(1024 + fraction, exponent - 25) : sign * std::ldexp(fraction, -24);
}

float bfloat_value(uint16_t b) {
  const uint32_t bits = static_cast<uint32_t>(b) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

// A weight as a checkpoint has it, in rows padded by a stride of our choosing, and its exact values.
struct Weights {
  WeightSource source{};
  std::vector<unsigned char> bytes;
  std::vector<double> values;  // [n][k]

  Weights(WeightFormat format, int64_t n, int64_t k, std::mt19937& random) {
    source.format = format;
    source.n = n;
    source.k = k;
    values.resize(static_cast<size_t>(n * k));
    auto word = [&] { return static_cast<uint16_t>(random()); };
    // Finite halves up to 4 with subnormals and both zeros among them.
    auto half = [&] { return static_cast<uint16_t>((word() & 0x8000) | (word() % 0x4400)); };
    if (!quantised(format)) {
      const int64_t size = format == WeightFormat::f32 ? 4 : 2;
      source.row_stride = k * size + 6;  // not a multiple of anything
      bytes.resize(static_cast<size_t>(n * source.row_stride));
      for (int64_t i = 0; i < n * k; ++i) {
        unsigned char* to = bytes.data() + i / k * source.row_stride + i % k * size;
        if (format == WeightFormat::f32) {
          const float v = std::normal_distribution<float>(0, 1)(random);
          std::memcpy(to, &v, 4);
          values[i] = v;
        } else if (format == WeightFormat::f16) {
          const uint16_t v = half();
          std::memcpy(to, &v, 2);
          values[i] = half_value(v);
        } else {
          const float f = std::normal_distribution<float>(0, 1)(random);
          uint32_t bits;
          std::memcpy(&bits, &f, 4);
          const uint16_t v = static_cast<uint16_t>(bits >> 16);
          std::memcpy(to, &v, 2);
          values[i] = bfloat_value(v);
        }
      }
      source.data = bytes.data();
      return;
    }
    // GGUF's arrangement: a group is its halves and then its codes.
    const int64_t heads = format == WeightFormat::int4_offset ? 4 : 2;
    const int64_t codes = format == WeightFormat::int8 ? 32 : 16, size = heads + codes;
    const int64_t groups = k / kGroup;
    source.group_stride = source.scale_group_stride = size;
    source.row_stride = source.scale_row_stride = groups * size + 1;
    bytes.resize(static_cast<size_t>(n * source.row_stride));
    source.scales = bytes.data();
    source.offsets = heads == 4 ? bytes.data() + 2 : nullptr;
    source.data = bytes.data() + heads;
    for (int64_t i = 0; i < n * groups; ++i) {
      unsigned char* to = bytes.data() + i / groups * source.row_stride + i % groups * size;
      const uint16_t d = half(), m = half();
      std::memcpy(to, &d, 2);
      if (heads == 4) std::memcpy(to + 2, &m, 2);
      double* value = values.data() + i * kGroup;
      for (int64_t j = 0; j < codes; ++j) {
        // The extremes often: they are what saturates.
        const unsigned char code = random() % 4 ? static_cast<unsigned char>(random()) : random() % 2 ? 0xff : 0x80;
        to[heads + j] = code;
        if (format == WeightFormat::int8) {
          value[j] = half_value(d) * static_cast<int8_t>(code);
        } else {
          for (int high = 0; high < 2; ++high) {
            const int q = high ? code >> 4 : code & 15;
            value[j + 16 * high] = heads == 4 ? half_value(d) * q + half_value(m) : half_value(d) * (q - 8);
          }
        }
      }
    }
  }
};

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

void test_product(Isa isa, WeightFormat format, int64_t n, int64_t k, int64_t rows, float size, Failures& f) {
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

  // One sentinel column past n on each row shows writes past the tail.
  const int64_t stride = n + 3;
  const float sentinel = 12345.0f;
  std::vector<float> out(static_cast<size_t>(rows * stride), sentinel);
  matmul(a, 0, rows, packed, 0, packed.blocks(), nullptr, Store::assign, out.data(), stride);

  // Each of k (or k/32) additions rounds a partial sum no larger than the sum of magnitudes. For the
  // quantised formats a group of products is exact, then scaled with at most three roundings.
  const double steps = quantised(format) ? 2.0 * static_cast<double>(k / kGroup) + 4 : static_cast<double>(k) + 4;
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t o = 0; o < n; ++o) {
      double exact = 0, magnitude = 0;
      for (int64_t i = 0; i < k; ++i) {
        double w = weights.values[o * k + i];
        const double v = activation(a, t, i);
        exact += w * v;
        magnitude += std::fabs(w * v);
      }
      if (format == WeightFormat::int4_offset) {
        // d * q and m cancel within a weight; the bound is on the parts.
        magnitude *= 1.0;
        for (int64_t i = 0; i < k; ++i) magnitude += 64.0 * std::fabs(activation(a, t, i));
      }
      const double error = std::fabs(out[t * stride + o] - exact);
      CHECK(f, error <= steps * 0x1p-23 * magnitude + 1e-30,
            what + " t=" + std::to_string(t) + " n=" + std::to_string(o) + " got " +
                std::to_string(out[t * stride + o]) + " want " + std::to_string(exact));
    }
    for (int64_t o = n; o < stride; ++o) CHECK(f, out[t * stride + o] == sentinel, what + " wrote past the tail");
  }

  // The same bits for each row alone, and for ranges of rows and blocks.
  std::vector<float> alone(static_cast<size_t>(stride), sentinel);
  ActivationBuffer single(1, k);
  for (int64_t t = 0; t < rows; ++t) {
    single.prepare_row(isa, prepared, 0, x.data() + t * k, k);
    matmul(single.view(prepared, 1, k), 0, 1, packed, 0, packed.blocks(), nullptr, Store::assign, alone.data(), stride);
    CHECK(f, same_bits(alone.data(), out.data() + t * stride, stride), what + " alone t=" + std::to_string(t));
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
  const std::vector<float> bias = random_rows(1, n, 10, random), start = random_rows(rows, stride, 10, random);
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
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
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
  const Activations a = buffer.view(ActivationFormat::int8, 2, k), p = portable.view(ActivationFormat::int8, 2, k);
  CHECK(f, std::memcmp(groups_of(a, 1), groups_of(p, 1), sizeof(QuantisedGroup) * (k / 32)) == 0, what + " bits");
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
        const int want = most < 1e-36f ? 0 : static_cast<int>(std::nearbyint(values[j] * (127.0f / most)));
        CHECK(f, g.q[j] == want, what + " nearest even");
      }
    }
  }

  for (const int64_t count : {k, int64_t{1}, int64_t{31}, int64_t{33}}) {
    buffer.prepare_row(isa, ActivationFormat::bf16, 1, x.data() + 96, count > 200 ? 200 : count);
    const int64_t used = count > 200 ? 200 : count;
    const Activations b = buffer.view(ActivationFormat::bf16, 2, used);
    const uint16_t* bits = reinterpret_cast<const uint16_t*>(prepared_row(b, 1));
    for (int64_t i = 0; i < used; ++i) {
      const double want = x[96 + i], got = bfloat_value(bits[i]);
      if (std::isnan(want)) {
        CHECK(f, std::isnan(got), what + " bf16 NaN");
      } else if (std::isfinite(want) && std::fabs(want) < 3.39e38) {
        int exponent;
        std::frexp(want, &exponent);
        const double step = std::ldexp(1.0, exponent - 8), nearest = std::nearbyint(want / step) * step;
        CHECK(f, want == 0 || std::fabs(want) < 1e-37 || got == nearest, what + " bf16 nearest even");
      } else {
        CHECK(f, std::isinf(got) && (got > 0) == (want > 0), what + " bf16 infinity");
      }
    }
    if (used % 2) CHECK(f, bits[used] == 0, what + " bf16 padding");
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
  matmul(prepare(buffer, isa, prepared, x, rows, k), 0, rows, packed, 0, packed.blocks(), nullptr, Store::assign,
         clean.data(), n);
  x[k + 3] = std::numeric_limits<float>::quiet_NaN();
  x[3 * k + 40] = std::numeric_limits<float>::infinity();
  matmul(prepare(buffer, isa, prepared, x, rows, k), 0, rows, packed, 0, packed.blocks(), nullptr, Store::assign,
         out.data(), n);
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t o = 0; o < n; ++o) {
      const bool expected = t == 1   ? std::isnan(out[t * n + o])
                            : t == 3 ? !std::isfinite(out[t * n + o])
                                     : out[t * n + o] == clean[t * n + o];
      CHECK(f, expected, std::string(isa_name(isa)) + " " + kNames[static_cast<int>(format)] + " row " + std::to_string(t));
    }
  }
}

// Exact sums and the same float32 operations: AVX2 and AVX-512 agree bit for bit where both have a
// fused multiply-add and the same activations.
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
    matmul(prepare(buffer, isa, activation_format(isa, format), x, rows, k), 0, rows, packed, 0, packed.blocks(),
           nullptr, Store::assign, o.data(), n);
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
          matmul(buffer.view(ActivationFormat::f32, 1, 32), 0, 1, packed, 0, 1, nullptr, Store::assign, out, 16);
        }), "activations of another format");
  CHECK(f, throws<std::out_of_range>([&] { packed.dequantize_row(16, out); }), "row past the end");
  const float x[65] = {};
  CHECK(f, throws<std::out_of_range>([&] { buffer.prepare_row(isa, ActivationFormat::f32, 2, x, 64); }), "row");
  CHECK(f, throws<std::out_of_range>([&] { buffer.prepare_row(isa, ActivationFormat::f32, 0, x, 65); }), "k");
  CHECK(f, throws<Argument>([&] { buffer.prepare_row(isa, ActivationFormat::int8, 0, x, 31); }), "k not in groups");
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
