// A pool of threads that run one body together, with barriers inside it.
//
// Waiting threads spin for some tens of microseconds and then sleep in the kernel; an idle pool uses no
// CPU. Between runs that follow each other within 200 microseconds, as an engine's steps do, they spin that
// long, since waking up takes 25 to 50. A thread that would spin on the CPU of the very thread it waits for sleeps at once. A pool as
// large as the process's set of cores binds each of its own threads to one of them, so that the
// scheduler does not put two on one; the caller's thread is left as it is.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace pagoda {

// The CPU a thread was last seen on.
struct alignas(64) Place {
  std::atomic<int> cpu{-1};
};

// A counter that threads wait on.
class alignas(64) Signal {
 public:
  uint32_t value() const { return value_.load(std::memory_order_acquire); }
  // Adds one and wakes every waiter.
  void advance();
  // Returns once the counter is no longer `seen`, spinning for about `spin` before it sleeps. `places` are
  // those of all threads, the waiting one's at `self`.
  void wait_past(uint32_t seen, std::chrono::microseconds spin, std::vector<Place>& places, int self);

 private:
  std::atomic<uint32_t> value_{0};
  std::atomic<uint32_t> sleepers_{0};
};

class ThreadPool {
 public:
  // Starts threads - 1 threads; the caller of run is the other one. Throws std::invalid_argument unless
  // 1 <= threads <= 1024, std::system_error when the system refuses a thread.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return size_; }

  // Runs body(0) here and body(1) .. body(size - 1) on the pool's threads; returns when all are done.
  // The first exception is thrown again here. Calls must not overlap.
  void run(const std::function<void(int)>& body);

  // Inside run, with the number body was given: returns once every thread has called it. A body that uses it must not throw.
  void barrier(int thread);

 private:
  void work(int thread, const std::vector<int>& cpus);
  void call(int thread, const std::function<void(int)>& body);
  void stop();

  int size_;
  std::vector<Place> places_;
  Signal start_, done_, phase_;
  alignas(64) std::atomic<int> running_{0};
  alignas(64) std::atomic<int> arrived_{0};
  const std::function<void(int)>* body_ = nullptr;  // written before start_, null to end
  std::mutex error_lock_;
  std::exception_ptr error_;
  std::vector<std::thread> threads_;
};

// Share `index` of `parts` nearly equal contiguous shares of `count` things.
struct Range {
  int64_t begin, end;
};
inline Range share_of(int64_t count, int64_t index, int64_t parts) {
  return {count * index / parts, count * (index + 1) / parts};
}

// Work that threads take as they become free, so that one held up by another process does less of it:
// things 0 .. count - 1, in pieces that grow smaller towards the end.
class alignas(64) Claims {
 public:
  void reset() { next_.store(0, std::memory_order_relaxed); }

  // The next piece for one of `threads` threads; empty when everything is taken.
  Range claim(int64_t count, int threads) {
    int64_t begin = next_.load(std::memory_order_relaxed), end = count;
    do {
      if (begin >= count) return {count, count};
      const int64_t piece = (count - begin) / (2 * threads);
      end = begin + (piece > 1 ? piece : 1);
    } while (!next_.compare_exchange_weak(begin, end, std::memory_order_relaxed));
    return {begin, end};
  }

 private:
  std::atomic<int64_t> next_{0};
};

}  // namespace pagoda
