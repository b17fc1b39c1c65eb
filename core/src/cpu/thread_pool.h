#ifndef TWOPASS_SRC_CPU_THREAD_POOL_H_
#define TWOPASS_SRC_CPU_THREAD_POOL_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace twopass {

// CPUs that this process may use: by its affinity, and by the CPU quota of its cgroup, rounded up.
std::size_t num_usable_cpus();

// The contiguous share [first, last) of num_items that one of num_members takes.
struct Share {
  std::size_t first;
  std::size_t last;

  std::size_t size() const { return last - first; }
};
Share share_of(std::size_t num_items, std::size_t member, std::size_t num_members);

// Lets the members of a team wait for each other, again and again. Waiting spins for a moment,
// since members arrive together, and then sleeps, since one of them may have lost its core.
class Barrier {
 public:
  explicit Barrier(std::size_t num_members)
      : num_members_(static_cast<std::uint32_t>(num_members)) {}
  void wait();

 private:
  const std::uint32_t num_members_;
  std::atomic<std::uint32_t> num_arrived_{0};
  std::atomic<std::uint32_t> generation_{0};
};

// Threads that run one task together, the caller among them. One task at a time.
class ThreadPool {
 public:
  // Throws std::system_error where the system has no more threads to give.
  explicit ThreadPool(std::size_t num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::size_t num_threads() const { return workers_.size() + 1; }

  // Calls task(i) for every i in [0, num_threads), each on a thread of its own, and returns when
  // all have. The task must not throw.
  void run(const std::function<void(std::size_t)>& task);

 private:
  void work(std::size_t number);
  void stop();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  const std::function<void(std::size_t)>* task_ = nullptr;
  std::uint64_t round_ = 0;
  std::size_t num_running_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_THREAD_POOL_H_
