#include "cpu/thread_pool.h"

#include <algorithm>
#include <map>

#ifdef TWOPASS_X86
#include <immintrin.h>
#endif

namespace twopass {
namespace {

// About 20 microseconds: longer than members of a team are ever apart while each has a core.
constexpr int kSpins = 4'000;

void pause() {
#ifdef TWOPASS_X86
  _mm_pause();
#elif defined(TWOPASS_AARCH64)
  asm volatile("isb" ::: "memory");  // yield is no pause on processors without hyperthreads
#else
  std::this_thread::yield();
#endif
}

}  // namespace

Share share_of(std::size_t num_items, std::size_t member, std::size_t num_members) {
  return {num_items * member / num_members, num_items * (member + 1) / num_members};
}

void Barrier::wait() {
  if (num_members_ == 1) {
    return;
  }
  const std::uint32_t generation = generation_.load(std::memory_order_acquire);
  if (num_arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == num_members_) {
    num_arrived_.store(0, std::memory_order_relaxed);
    generation_.store(generation + 1, std::memory_order_release);
    generation_.notify_all();
    return;
  }
  for (int spin = 0; spin < kSpins; ++spin) {
    if (generation_.load(std::memory_order_acquire) != generation) {
      return;
    }
    pause();
  }
  while (generation_.load(std::memory_order_acquire) == generation) {
    generation_.wait(generation, std::memory_order_acquire);
  }
}

// One call of run().
struct ThreadPool::Call {
  const Task& task;
  std::size_t num_items;
  std::size_t num_taken = 0;
  std::size_t num_done = 0;

  std::size_t num_left() const { return num_items - num_taken; }
  bool is_done() const { return num_done == num_items; }
};

ThreadPool::ThreadPool(std::size_t num_threads)
    : is_computing_(std::max<std::size_t>(1, num_threads), false) {
  try {
    for (std::size_t thread = 0; thread < is_computing_.size(); ++thread) {
      workers_.emplace_back([this, thread] { work(thread); });
    }
  } catch (...) {  // the system has no more threads: those there are would end the process
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  for_workers_.notify_all();
  for (std::thread& worker : workers_) {
    worker.join();
  }
}

void ThreadPool::run(std::size_t num_items, const Task& task) {
  if (num_items == 0) {
    return;
  }
  Call call{task, num_items};
  ++num_calls_;
  std::unique_lock lock(mutex_);
  const bool is_idle = calls_.empty() && !is_computing_[0];
  calls_.push_back(&call);
  if (is_idle) {
    take_part(lock, call);
  } else {
    for_workers_.notify_all();
  }
  for_callers_.wait(lock, [&] { return call.is_done(); });
  --num_calls_;
}

// Computes, in the place of thread 0, until nothing is left of a call.
void ThreadPool::take_part(std::unique_lock<std::mutex>& lock, const Call& call) {
  is_replaced_ = true;
  if (call.num_items > 1) {
    for_workers_.notify_all();
  }
  while (call.num_left() > 0) {
    compute_next(lock, 0);
  }
  is_replaced_ = false;
  if (!calls_.empty()) {
    for_workers_.notify_all();
  }
}

void ThreadPool::run_together(const std::function<void(std::size_t)>& task) {
  Barrier all_here(num_threads());
  run(num_threads(), [&](std::size_t, std::size_t thread) {
    all_here.wait();  // so each thread takes one item only
    task(thread);
  });
}

void ThreadPool::work(std::size_t thread) {
  std::unique_lock lock(mutex_);
  while (true) {
    for_workers_.wait(
        lock, [&] { return stopping_ || (!calls_.empty() && !(thread == 0 && is_replaced_)); });
    if (stopping_) {
      return;
    }
    compute_next(lock, thread);
  }
}

// Takes an item, of which there is one, and computes it without the lock.
void ThreadPool::compute_next(std::unique_lock<std::mutex>& lock, std::size_t thread) {
  const auto first =
      std::min_element(calls_.begin(), calls_.end(),
                       [](const Call* a, const Call* b) { return a->num_left() < b->num_left(); });
  Call& call = **first;
  const std::size_t item = call.num_taken++;
  if (call.num_left() == 0) {
    calls_.erase(first);
  }
  is_computing_[thread] = true;
  lock.unlock();
  call.task(item, thread);
  lock.lock();
  is_computing_[thread] = false;
  ++call.num_done;
  if (call.is_done()) {
    for_callers_.notify_all();
  }
}

std::shared_ptr<ThreadPool> shared_thread_pool(std::size_t num_threads) {
  static std::mutex mutex;
  static std::map<std::size_t, std::weak_ptr<ThreadPool>> pools;
  const std::lock_guard lock(mutex);
  std::shared_ptr<ThreadPool> pool = pools[num_threads].lock();
  if (!pool) {
    pool = std::make_shared<ThreadPool>(num_threads);
    pools[num_threads] = pool;
  }
  return pool;
}

}  // namespace twopass
