// A pool of threads that run one body together, with barriers inside it.
//
// Waiting threads spin for some tens of microseconds, as long as neighbouring steps of a running engine
// are apart, and then sleep in the kernel; an idle pool uses no CPU.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace pagoda {

// A counter that threads wait on.
class alignas(64) Signal {
 public:
  uint32_t value() const { return value_.load(std::memory_order_acquire); }
  // Adds one and wakes every waiter.
  void advance();
  // Returns once the counter is no longer `seen`.
  void wait_past(uint32_t seen);

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

  // Inside run: returns once every thread has called it. A body that uses it must not throw.
  void barrier();

 private:
  void work(int thread);
  void call(int thread, const std::function<void(int)>& body);
  void stop();

  int size_;
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

}  // namespace pagoda
