#include "pool.h"

#include "cpu_set.h"

#include <chrono>
#include <stdexcept>
#include <utility>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace pagoda {

namespace {

constexpr auto kSpin = std::chrono::microseconds(40);
constexpr auto kSpinBetweenRuns = std::chrono::microseconds(200);

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#if defined(__linux__)

void sleep_while(std::atomic<uint32_t>& value, uint32_t seen) {
  static_assert(sizeof(std::atomic<uint32_t>) == 4);
  // Returns at once when the value has changed; signals and spurious wake-ups are the caller's loop's.
  syscall(SYS_futex, &value, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
}

void wake_all(std::atomic<uint32_t>& value) {
  syscall(SYS_futex, &value, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
}

#else

void sleep_while(std::atomic<uint32_t>& value, uint32_t seen) {
  if (value.load() == seen) std::this_thread::sleep_for(kSpin);
}

void wake_all(std::atomic<uint32_t>&) {}

#endif

}  // namespace

void Signal::advance() {
  // Both operations are sequentially consistent: a waiter that counts itself after this reads the new
  // value before it sleeps, and one that counted itself before this is woken.
  value_.fetch_add(1);
  if (sleepers_.load() > 0) wake_all(value_);
}

void Signal::wait_past(uint32_t seen, std::chrono::microseconds spin, std::vector<Place>& places, int self) {
  constexpr int kLooks = 32;  // between readings of the clock
  for (int i = 0; i < kLooks; ++i) {
    if (value() != seen) return;
    relax();
  }
  const int here = current_cpu();
  places[static_cast<size_t>(self)].cpu.store(here, std::memory_order_relaxed);
  bool alone = true;
  for (size_t i = 0; i < places.size(); ++i) {
    if (static_cast<int>(i) != self && places[i].cpu.load(std::memory_order_relaxed) == here) alone = false;
  }
  if (alone || here < 0) {
    const auto begin = std::chrono::steady_clock::now();
    do {
      for (int i = 0; i < kLooks; ++i) {
        if (value() != seen) return;
        relax();
      }
    } while (std::chrono::steady_clock::now() - begin < spin);
  }
  sleepers_.fetch_add(1);
  while (value_.load() == seen) sleep_while(value_, seen);
  sleepers_.fetch_sub(1);
  places[static_cast<size_t>(self)].cpu.store(current_cpu(), std::memory_order_relaxed);
}

ThreadPool::ThreadPool(int threads)
    : size_(threads), places_(static_cast<size_t>(threads < 1 || threads > 1024 ? 0 : threads)) {
  if (threads < 1 || threads > 1024) throw std::invalid_argument("the number of threads must be 1 to 1024");
  std::vector<std::vector<int>> cores = usable_cores();
  if (static_cast<int>(cores.size()) != threads) cores.assign(static_cast<size_t>(threads), {});
  threads_.reserve(static_cast<size_t>(threads - 1));
  try {
    for (int i = 1; i < threads; ++i) {
      threads_.emplace_back([this, i, cpus = cores[static_cast<size_t>(i)]] { work(i, cpus); });
    }
  } catch (...) {
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  body_ = nullptr;
  start_.advance();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void ThreadPool::run(const std::function<void(int)>& body) {
  if (size_ > 1) {
    body_ = &body;
    running_.store(size_ - 1, std::memory_order_relaxed);
    const uint32_t seen = done_.value();
    start_.advance();
    call(0, body);
    done_.wait_past(seen, kSpin, places_, 0);  // advances once a run
  } else {
    call(0, body);
  }
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void ThreadPool::call(int thread, const std::function<void(int)>& body) {
  try {
    body(thread);
  } catch (...) {
    const std::lock_guard<std::mutex> lock(error_lock_);
    if (!error_) error_ = std::current_exception();
  }
}

void ThreadPool::work(int thread, const std::vector<int>& cpus) {
  (void)pin_to(cpus);  // a refusal costs speed alone
  std::chrono::microseconds spin = kSpin;
  for (uint32_t seen = 0;; ++seen) {
    const auto idle = std::chrono::steady_clock::now();
    start_.wait_past(seen, spin, places_, thread);
    spin = std::chrono::steady_clock::now() - idle < kSpinBetweenRuns ? kSpinBetweenRuns : kSpin;
    const std::function<void(int)>* body = body_;
    if (!body) return;
    call(thread, *body);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) done_.advance();
  }
}

void ThreadPool::barrier(int thread) {
  if (size_ == 1) return;
  const uint32_t seen = phase_.value();
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.advance();
  } else {
    phase_.wait_past(seen, kSpin, places_, thread);
  }
}

}  // namespace pagoda
