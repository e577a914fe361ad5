// Speed of the matrix products beside what the machine can do: GB/s of packed weights and GFLOP/s (two
// operations a multiply-add) by format, shape and rows.
//
//   bench_matmul [--isa NAME] [--threads N] [--format NAME] [--rows N] [--shape NxK] [--seconds S]
//
// Each thread takes its own part of the output blocks. A figure is the fastest of many calls (each as long
// as its slowest thread); on a machine that does other work the rest is noise. "read" is a plain read of
// the same packed bytes in turns with the product: the memory's limit where they exceed the caches.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "matmul.h"

using namespace pagoda;

namespace {

constexpr const char* kNames[] = {"f32", "f16", "bf16", "int8", "int4", "int4_offset"};

constexpr WeightFormat kFormats[] = {WeightFormat::f32,  WeightFormat::f16,  WeightFormat::bf16,
                                     WeightFormat::int8, WeightFormat::int4, WeightFormat::int4_offset};

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Waits for `ready`, and gives way where the other thread may need this processor.
template <typename Ready>
void wait(Ready ready) {
  for (int spins = 0; !ready(); ++spins) {
    if (spins > 2000) std::this_thread::yield();
  }
}

// Runs each of `works` as work(thread) on all threads at once, in turns, again and again; returns the
// shortest time of one round of each. Turns, so that what disturbs the machine disturbs all alike.
std::vector<double> fastest(int threads, double seconds, const std::vector<std::function<void(int)>>& works) {
  std::atomic<int> round{0}, done{0};
  std::atomic<size_t> turn{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) {
    others.emplace_back([&, t] {
      for (int r = 1;; ++r) {
        wait([&] { return round.load(std::memory_order_acquire) >= r; });
        if (stop) return;
        works[turn](t);
        done.fetch_add(1, std::memory_order_release);
      }
    });
  }
  std::vector<double> best(works.size(), 1e9);
  const double end = now() + seconds;
  for (int rounds = 0; rounds < 3 || now() < end; ++rounds) {
    for (size_t w = 0; w < works.size(); ++w) {
      turn = w;
      done = 0;
      const double start = now();
      round.fetch_add(1, std::memory_order_release);
      works[w](0);
      wait([&] { return done.load(std::memory_order_acquire) == threads - 1; });
      best[w] = std::min(best[w], now() - start);
    }
  }
  stop = true;
  round.fetch_add(1);
  for (std::thread& t : others) t.join();
  return best;
}

// Reads a part of a weight's bytes, by sums that compilers vectorise.
uint64_t read_blocks(const PackedWeight& weight, int64_t block0, int64_t block1) {
  constexpr size_t kSums = 16;
  const uint64_t* from = reinterpret_cast<const uint64_t*>(weight.block(block0));
  const size_t count = weight.block_bytes() * static_cast<size_t>(block1 - block0) / 8;
  uint64_t sums[kSums] = {};
  for (size_t i = 0; i + kSums <= count; i += kSums) {
    for (size_t j = 0; j < kSums; ++j) sums[j] += from[i + j];
  }
  uint64_t all = 0;
  for (uint64_t s : sums) all += s;
  return all;
}

struct Case {
  WeightFormat format;
  int64_t n, k;
};

struct Result {
  double gbytes, gflops, read_gbytes;  // the last: a plain read of the same packed bytes
};

Result measure(Isa isa, const Case& c, int64_t rows, int threads, double seconds) {
  const size_t values = static_cast<size_t>(c.n * c.k);
  std::vector<unsigned char> bytes(values * (c.format == WeightFormat::f32 ? 4 : 2));
  unsigned state = 1;
  // Bytes of 0x28 to 0x3b are ordinary small numbers in every float format (subnormal ones are slow).
  for (unsigned char& b : bytes) {
    state = state * 1664525u + 1013904223u;
    b = static_cast<unsigned char>(0x28 + (state >> 24) % 20);
  }
  WeightSource source{};
  source.format = c.format;
  source.n = c.n;
  source.k = c.k;
  source.data = bytes.data();
  const bool quantised = c.format >= WeightFormat::int8;
  const int64_t group = c.format == WeightFormat::int8 ? 32 : 16;
  source.row_stride = quantised ? c.k / kGroup * group : c.k * (c.format == WeightFormat::f32 ? 4 : 2);
  if (quantised) {
    source.group_stride = group;
    source.scales = bytes.data();
    source.scale_row_stride = c.k / kGroup * 2;
    source.scale_group_stride = 2;
    if (c.format == WeightFormat::int4_offset) source.offsets = bytes.data();
  }
  PackedWeight weight(isa, c.format, c.n, c.k);
  weight.pack(source, 0, weight.blocks());
  std::vector<float> x(static_cast<size_t>(c.k)), out(static_cast<size_t>(rows * c.n));
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 17) - 8.0f;
  ActivationBuffer buffer(rows, c.k);
  const ActivationFormat format = activation_format(isa, c.format);
  for (int64_t t = 0; t < rows; ++t) buffer.prepare_row(isa, format, t, x.data(), c.k);
  const Activations a = buffer.view(format, rows, c.k);
  std::vector<uint64_t> sink(static_cast<size_t>(threads) * 16);
  auto first_block = [&](int t) { return weight.blocks() * t / threads; };
  const std::vector<double> times = fastest(
      threads, seconds,
      {[&](int t) {
         matmul(a, 0, rows, weight, first_block(t), first_block(t + 1), nullptr, Store::assign, out.data(),
                c.n);
       },
       [&](int t) {
         sink[static_cast<size_t>(t) * 16] += read_blocks(weight, first_block(t), first_block(t + 1));
       }});
  const double size = static_cast<double>(weight.bytes());
  return {size / times[0] * 1e-9, 2e-9 * static_cast<double>(rows) * static_cast<double>(values) / times[0],
          size / times[1] * 1e-9};
}

// Rows prepared and weights packed by one thread, in GB/s of what is read.
void measure_preparation(Isa isa, double seconds) {
  constexpr int64_t kK = 896, kN = 4864;
  std::vector<float> x(kK);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 17) - 8.0f;
  ActivationBuffer buffer(16, kK);
  for (const ActivationFormat format : {ActivationFormat::bf16, ActivationFormat::int8}) {
    const double time = fastest(1, seconds, {[&](int) {
      for (int64_t t = 0; t < 16; ++t) buffer.prepare_row(isa, format, t, x.data(), kK);
    }})[0];
    std::printf("prepare %-5s %8.1f GB/s of float32\n", format == ActivationFormat::int8 ? "int8" : "bf16",
                16 * kK * 4 / time * 1e-9);
  }
  for (const WeightFormat format : kFormats) {
    const std::vector<unsigned char> bytes(kN * kK * 4, 1);
    WeightSource s{};
    s.format = format;
    s.n = kN;
    s.k = kK;
    const bool quantised = format >= WeightFormat::int8;
    const int64_t codes = format == WeightFormat::int8 ? 32 : 16;
    const int64_t group = codes + (format == WeightFormat::int4_offset ? 4 : 2);
    s.scales = bytes.data();
    s.offsets = format == WeightFormat::int4_offset ? bytes.data() + 2 : nullptr;
    s.data = bytes.data() + (quantised ? group - codes : 0);
    s.group_stride = s.scale_group_stride = group;
    const int64_t value = format == WeightFormat::f32 ? 4 : 2;
    s.row_stride = s.scale_row_stride = quantised ? kK / kGroup * group : kK * value;
    PackedWeight weight(isa, format, kN, kK);
    const double time = fastest(1, seconds, {[&](int) { weight.pack(s, 0, weight.blocks()); }})[0];
    std::printf("pack    %-11s %6.1f GB/s\n", kNames[static_cast<int>(format)],
                static_cast<double>(kN * s.row_stride) / time * 1e-9);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Isa isa = best_isa();
  int threads = 2;
  double seconds = 0.3;
  int64_t only_rows = 0, only_n = 0, only_k = 0;
  std::string only_format;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i], value = argv[i + 1];
    if (key == "--isa") {
      for (const Isa each : {Isa::portable, Isa::avx2, Isa::avx512}) {
        if (value == isa_name(each)) isa = each;
      }
    } else if (key == "--threads") {
      threads = std::max(1, std::atoi(value.c_str()));
    } else if (key == "--seconds") {
      seconds = std::atof(value.c_str());
    } else if (key == "--format") {
      only_format = value;
    } else if (key == "--rows") {
      only_rows = std::atoll(value.c_str());
    } else if (key == "--shape" && value.find('x') != std::string::npos) {
      only_n = std::atoll(value.c_str());
      only_k = std::atoll(value.c_str() + value.find('x') + 1);
    } else {
      std::fprintf(stderr, "unknown option %s\n", argv[i]);
      return 2;
    }
  }
  std::printf("%s, %d threads\n", isa_name(isa), threads);
  // The peak that this code can show: one small product that stays in the first caches.
  std::vector<double> peak;
  for (const WeightFormat format : kFormats) {
    peak.push_back(measure(isa, {format, 32, 256}, 240, 1, seconds).gflops * threads);
    std::printf("peak in cache %-11s %7.1f GFLOP/s\n", kNames[static_cast<int>(format)], peak.back());
  }
  if (only_format.empty() && !only_n) measure_preparation(isa, seconds);

  std::vector<std::pair<int64_t, int64_t>> shapes = {{576, 576},   {192, 576},  {1536, 576}, {576, 1536},
                                                     {49152, 576}, {4864, 896}, {896, 4864}, {151936, 896}};
  if (only_n) shapes = {{only_n, only_k}};
  std::vector<int64_t> rows = {1, 2, 4, 8, 16, 25, 32, 64, 256};
  if (only_rows) rows = {only_rows};
  std::printf("\n%-12s%-12s%6s%10s%10s%8s%12s%8s\n", "format", "n x k", "rows", "GB/s", "read GB/s", "share",
              "GFLOP/s", "of peak");
  for (int f = 0; f < 6; ++f) {
    if (!only_format.empty() && only_format != kNames[f]) continue;
    for (const auto& [n, k] : shapes) {
      for (const int64_t r : rows) {
        if (!only_rows && (n > 10000 && r > 32)) continue;
        const Result result = measure(isa, {static_cast<WeightFormat>(f), n, k}, r, threads, seconds);
        const std::string shape = std::to_string(n) + "x" + std::to_string(k);
        std::printf("%-12s%-12s%6lld%10.1f%10.1f%7.0f%%%12.1f%7.0f%%\n", kNames[f], shape.c_str(),
                    static_cast<long long>(r), result.gbytes, result.read_gbytes,
                    100 * result.gbytes / result.read_gbytes, result.gflops,
                    100 * result.gflops / peak[static_cast<size_t>(f)]);
        std::fflush(stdout);
      }
    }
  }
}
