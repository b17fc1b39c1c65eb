#include "cpu/thread_pool.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

#ifdef __linux__
#include <sched.h>
#endif
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
#else
  std::this_thread::yield();
#endif
}

// From cgroup v2's "quota period", in CPUs; no limit where there is no such file or it says "max".
std::size_t cgroup_limit(std::size_t otherwise) {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) {
    return otherwise;
  }
  return static_cast<std::size_t>(std::ceil(std::atof(quota.c_str()) / period));
}

std::size_t num_affine_cpus() {
#ifdef __linux__
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof cpus, &cpus) == 0) {
    return static_cast<std::size_t>(CPU_COUNT(&cpus));
  }
#endif
  return std::max<std::size_t>(1, std::thread::hardware_concurrency());
}

}  // namespace

std::size_t num_usable_cpus() {
  const std::size_t affine = num_affine_cpus();
  return std::max<std::size_t>(1, std::min(affine, cgroup_limit(affine)));
}

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

ThreadPool::ThreadPool(std::size_t num_threads) {
  try {
    for (std::size_t number = 1; number < num_threads; ++number) {
      workers_.emplace_back([this, number] { work(number); });
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
  wake_.notify_all();
  for (std::thread& worker : workers_) {
    worker.join();
  }
}

void ThreadPool::run(const std::function<void(std::size_t)>& task) {
  {
    const std::lock_guard lock(mutex_);
    task_ = &task;
    num_running_ = workers_.size();
    ++round_;
  }
  wake_.notify_all();
  task(0);
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return num_running_ == 0; });
  task_ = nullptr;
}

void ThreadPool::work(std::size_t number) {
  std::uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return stopping_ || round_ != seen; });
    if (stopping_) {
      return;
    }
    seen = round_;
    const std::function<void(std::size_t)>& task = *task_;
    lock.unlock();
    task(number);
    lock.lock();
    if (--num_running_ == 0) {
      done_.notify_one();
    }
  }
}

}  // namespace twopass
