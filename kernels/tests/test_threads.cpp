// Tests of the thread pool: every thread takes part, barriers order memory, errors come back, pools come
// and go, and an idle pool uses no CPU. Run under ThreadSanitizer too.
#include <ctime>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "cpu_set.h"
#include "pool.h"

using namespace pagoda;

namespace {

void test_shares(Checks& c) {
  for (const int64_t count : {0, 1, 7, 64, 1001}) {
    for (const int64_t parts : {1, 2, 3, 64}) {
      int64_t next = 0;
      for (int64_t i = 0; i < parts; ++i) {
        const Range range = share_of(count, i, parts);
        CHECK(c, range.begin == next && range.end >= range.begin, "shares follow each other");
        CHECK(c, range.end - range.begin <= count / parts + 1, "shares are even");
        next = range.end;
      }
      CHECK(c, next == count, "shares cover everything");
    }
  }
}

void test_runs(Checks& c) {
  for (const int threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    std::vector<int> calls(static_cast<size_t>(threads));
    for (int round = 0; round < 200; ++round) pool.run([&](int i) { ++calls[static_cast<size_t>(i)]; });
    for (const int count : calls) CHECK(c, count == 200, "every thread runs every body once");
  }
}

void test_claims(Checks& c) {
  for (const int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    Claims claims;
    for (const int64_t count : {0, 1, 5, 1000}) {
      claims.reset();
      std::vector<int> taken(static_cast<size_t>(count));
      pool.run([&](int) {
        for (Range mine = claims.claim(count, threads); mine.begin < mine.end; mine = claims.claim(count, threads)) {
          for (int64_t i = mine.begin; i < mine.end; ++i) ++taken[static_cast<size_t>(i)];
        }
      });
      bool once = true;
      for (const int times : taken) once = once && times == 1;
      CHECK(c, once, "each of " + std::to_string(count) + " things is claimed once");
    }
  }
}

// A plain array passed from thread to thread: any missing order is a race that ThreadSanitizer reports
// and, mostly, a wrong sum.
void test_barriers(Checks& c) {
  for (const int threads : {2, 4}) {
    ThreadPool pool(threads);
    std::vector<int64_t> values(static_cast<size_t>(threads), 1);
    constexpr int kRounds = 300;
    for (int run = 0; run < 3; ++run) {
      pool.run([&](int i) {
        for (int round = 0; round < kRounds; ++round) {
          int64_t sum = 0;
          for (const int64_t value : values) sum += value;
          pool.barrier(i);
          values[static_cast<size_t>(i)] = sum % 1000003;
          pool.barrier(i);
        }
      });
    }
    int64_t expected = 1;
    for (int round = 0; round < 3 * kRounds; ++round) expected = expected * threads % 1000003;
    for (const int64_t value : values) CHECK(c, value == expected, "barriers order reads and writes");
  }
}

void test_errors(Checks& c) {
  ThreadPool pool(3);
  for (int thrower = 0; thrower < 3; ++thrower) {
    std::string message;
    try {
      pool.run([&](int i) {
        if (i == thrower) throw std::runtime_error("from " + std::to_string(i));
      });
    } catch (const std::runtime_error& error) {
      message = error.what();
    }
    CHECK(c, message == "from " + std::to_string(thrower), "an exception comes back to the caller");
  }
  std::atomic<int> calls{0};
  pool.run([&](int) { ++calls; });
  CHECK(c, calls == 3, "the pool works after an exception");
  CHECK(c, refuses([] { ThreadPool none(0); }), "no threads");
  CHECK(c, refuses([] { ThreadPool many(5000); }), "too many threads");
}

void test_life(Checks& c) {
  std::atomic<int> calls{0};
  for (int i = 0; i < 100; ++i) {
    ThreadPool pool(3);
    if (i % 2) pool.run([&](int) { ++calls; });
  }
  CHECK(c, calls == 150, "pools come and go");
}

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void test_idle(Checks& c) {
  ThreadPool pool(2);
  pool.run([](int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK(c, cpu_seconds() - before < 0.05, "an idle pool uses the CPU");
}

void test_cores(Checks& c) {
  const int threads = available_threads();
  CHECK(c, threads >= 1, "at least one thread");
  const auto cores = usable_cores();
  CHECK(c, cores.empty() || threads <= static_cast<int>(cores.size()), "no more threads than cores");
  for (const auto& cpus : cores) CHECK(c, !cpus.empty(), "a core has a CPU");
  // Narrowed to one core, the process has one thread.
  if (!cores.empty()) {
    std::thread([&] {
      CHECK(c, pin_to(cores.back()), "a thread may be bound to its own core");
      CHECK(c, available_threads() == 1, "a process bound to one core runs one thread");
    }).join();
  }
}

}  // namespace

int main() {
  Checks c;
  test_shares(c);
  test_runs(c);
  test_claims(c);
  test_barriers(c);
  test_errors(c);
  test_life(c);
  test_idle(c);
  test_cores(c);
  return c.report("test_threads");
}
