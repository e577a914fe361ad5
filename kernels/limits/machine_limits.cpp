#include "machine_limits.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "peaks.h"

namespace pagoda {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Runs work(thread) on all threads at once, again and again for `seconds`; returns the shortest round's time.
double fastest_round(int threads, double seconds, const std::function<void(int)>& work) {
  std::atomic<int> round{0}, done{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t)
    others.emplace_back([&, t] {
      for (int mine = 1;; ++mine) {
        while (round.load(std::memory_order_acquire) < mine) std::this_thread::yield();
        if (stop.load(std::memory_order_relaxed)) return;
        work(t);
        done.fetch_add(1, std::memory_order_release);
      }
    });
  double best = 1e30;
  const double end = now() + seconds;
  for (int rounds = 0; rounds < 3 || now() < end; ++rounds) {
    done.store(0, std::memory_order_relaxed);
    const double start = now();
    round.fetch_add(1, std::memory_order_release);
    work(0);
    while (done.load(std::memory_order_acquire) < threads - 1) std::this_thread::yield();
    best = std::min(best, now() - start);
  }
  stop.store(true, std::memory_order_relaxed);
  round.fetch_add(1, std::memory_order_release);
  for (std::thread& other : others) other.join();
  return best;
}

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

double read_rate(double seconds, int threads) {
  constexpr size_t kBytes = size_t{256} << 20, kPage = size_t{2} << 20, kSums = 16;
  const std::unique_ptr<void, Free> memory(std::aligned_alloc(kPage, kBytes));
  if (!memory) throw std::bad_alloc();
#ifdef __linux__
  madvise(memory.get(), kBytes, MADV_HUGEPAGE);  // a wish: without it the figure is that of small pages
#endif
  uint64_t* const words = static_cast<uint64_t*>(memory.get());
  const size_t part = kBytes / sizeof(uint64_t) / static_cast<size_t>(threads) / kSums * kSums;
  // Every page is written once: reads of untouched ones would all find the same page of zeros.
  for (size_t i = 0; i < kBytes / sizeof(uint64_t); i += 64) words[i] = i;
  std::vector<uint64_t> sink(static_cast<size_t>(threads) * kSums);
  const double time = fastest_round(threads, seconds, [&](int t) {
    const uint64_t* from = words + part * static_cast<size_t>(t);
    uint64_t sums[kSums] = {};
    for (size_t i = 0; i < part; i += kSums)
      for (size_t j = 0; j < kSums; ++j) sums[j] += from[i + j];
    for (size_t j = 0; j < kSums; ++j) sink[static_cast<size_t>(t) * kSums + j] += sums[j];
  });
  return 1e-9 * static_cast<double>(part * sizeof(uint64_t) * static_cast<size_t>(threads)) / time;
}

double peak_rate(peaks::Kind kind, double seconds, int threads) {
  constexpr int64_t kOperations = 100'000'000;  // a round is a millisecond or so
  std::vector<uint32_t> sink(static_cast<size_t>(threads) * 16);
  std::vector<int64_t> done(static_cast<size_t>(threads) * 8);
  const double time = fastest_round(threads, seconds, [&](int t) {
    done[static_cast<size_t>(t) * 8] = peaks::run(kind, kOperations, &sink[static_cast<size_t>(t) * 16]);
  });
  double total = 0;
  for (int t = 0; t < threads; ++t) total += static_cast<double>(done[static_cast<size_t>(t) * 8]);
  return 1e-9 * total / time;
}

}  // namespace

MachineLimits measure_limits(double seconds, int threads) {
  if (!(seconds > 0)) throw std::invalid_argument("measure_limits: seconds must be positive");
  if (threads < 1 || threads > 1024) throw std::invalid_argument("measure_limits: threads must be in 1..1024");
  MachineLimits found;
  found.read_gb_s = read_rate(seconds / 2, threads);
  found.int8_gop_s = peak_rate(peaks::Kind::int8, seconds / 6, threads);
  found.bf16_gflop_s = peak_rate(peaks::Kind::bf16, seconds / 6, threads);
  found.f32_gflop_s = peak_rate(peaks::Kind::f32, seconds / 6, threads);
  return found;
}

}  // namespace pagoda
