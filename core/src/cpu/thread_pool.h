#ifndef TWOPASS_SRC_CPU_THREAD_POOL_H_
#define TWOPASS_SRC_CPU_THREAD_POOL_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace twopass {

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

// Threads that work for any number of callers at once. The call of which the fewest items are left
// goes first: a small one does not wait for all of a large one, and what is begun is finished. A
// thread that finds nothing left of one call goes on with the next, while others still compute the
// last of the first; so batches follow each other without a gap. A caller that finds the pool idle
// takes part in the place of thread 0, since that begins sooner than a thread wakes.
class ThreadPool {
 public:
  // Computes one item, on the thread of that number; two items never run on one thread at once.
  using Task = std::function<void(std::size_t item, std::size_t thread)>;

  // Throws std::system_error where the system has no more threads to give.
  explicit ThreadPool(std::size_t num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::size_t num_threads() const { return workers_.size(); }

  // Whether something is being computed, so that whatever comes now shares the threads with it.
  bool is_busy() const { return num_calls_ > 0; }

  // Computes the items [0, num_items), the first ones first, and returns when all are done. The
  // task must not throw.
  void run(std::size_t num_items, const Task& task);

  // Calls task(thread) on all threads side by side, so that they may wait for each other, and
  // returns when all have returned. The task must not throw.
  void run_together(const std::function<void(std::size_t thread)>& task);

 private:
  struct Call;

  void work(std::size_t thread);
  void take_part(std::unique_lock<std::mutex>& lock, const Call& call);
  void compute_next(std::unique_lock<std::mutex>& lock, std::size_t thread);
  void stop();

  std::mutex mutex_;
  std::condition_variable for_workers_;  // there is something to compute, or it is time to end
  std::condition_variable for_callers_;  // a call has ended
  std::atomic<std::size_t> num_calls_{0};
  std::vector<Call*> calls_;        // of which an item is left, as they came
  bool is_replaced_ = false;        // whether a caller has the place of thread 0
  std::vector<bool> is_computing_;  // [num_threads]
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

// The one pool of so many threads, for all that compute on this process's CPUs. It lasts as long as
// somebody holds it.
std::shared_ptr<ThreadPool> shared_thread_pool(std::size_t num_threads);

}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_THREAD_POOL_H_
