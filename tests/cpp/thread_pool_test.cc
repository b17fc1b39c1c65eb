#include "cpu/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "check.h"

namespace twopass {
namespace {

TEST(shares_cover_every_item_once_and_differ_by_at_most_one) {
  for (const std::size_t num_members : {1, 2, 3, 7, 64}) {
    for (const std::size_t num_items : {0, 1, 2, 6, 7, 8, 63, 64, 65, 1000}) {
      std::size_t next = 0;
      for (std::size_t member = 0; member < num_members; ++member) {
        const Share share = share_of(num_items, member, num_members);
        CHECK(share.first == next);
        const std::size_t least = num_items / num_members;
        CHECK(share.size() == least || share.size() == least + 1);
        next = share.last;
      }
      CHECK(next == num_items);
    }
  }
}

TEST(every_item_is_computed_once_and_no_thread_has_two_at_a_time) {
  for (const std::size_t num_threads : {1, 2, 3, 8}) {
    ThreadPool pool(num_threads);
    CHECK(pool.num_threads() == num_threads);
    for (const std::size_t num_items : {0, 1, 2, 7, 100}) {
      std::vector<std::atomic<int>> computed(num_items), busy(num_threads);
      std::atomic<int> num_shared = 0;
      pool.run(num_items, [&](std::size_t item, std::size_t thread) {
        num_shared += busy[thread]++;
        ++computed[item];
        --busy[thread];
      });
      CHECK(num_shared == 0);
      CHECK(std::all_of(computed.begin(), computed.end(), [](const auto& n) { return n == 1; }));
    }
  }
}

TEST(side_by_side_every_thread_runs_once_and_an_idle_pool_lets_the_caller_take_part) {
  for (const std::size_t num_threads : {1, 2, 3, 8}) {
    ThreadPool pool(num_threads);
    std::vector<int> runs(num_threads, 0);
    for (int round = 1; round <= 200; ++round) {
      std::vector<std::thread::id> threads(num_threads);
      pool.run_together([&](std::size_t thread) {
        ++runs[thread];
        threads[thread] = std::this_thread::get_id();
      });
      CHECK(runs == std::vector<int>(num_threads, round));
      CHECK(threads[0] == std::this_thread::get_id());
      for (std::size_t i = 0; i < num_threads; ++i) {
        CHECK(std::count(threads.begin(), threads.end(), threads[i]) == 1);
      }
    }
  }
}

TEST(a_pool_of_none_is_the_caller_alone) {
  ThreadPool pool(0);
  std::size_t runs = 0;
  pool.run_together([&](std::size_t thread) { runs += 1 + thread; });
  CHECK(pool.num_threads() == 1 && runs == 1);
}

// Whatever callers mix, each finds its own items done when it returns, and no thread is given two
// items at once.
TEST(callers_that_overlap_each_get_what_they_asked_for) {
  for (const std::size_t num_threads : {1, 2, 3}) {
    ThreadPool pool(num_threads);
    std::vector<std::atomic<int>> busy(num_threads);
    std::atomic<int> num_wrong = 0;
    const auto call = [&](std::size_t caller) {
      for (std::size_t round = 0; round < 200; ++round) {
        std::vector<std::atomic<int>> computed((caller + round) % 5);
        pool.run(computed.size(), [&](std::size_t item, std::size_t thread) {
          num_wrong += busy[thread]++;
          ++computed[item];
          --busy[thread];
        });
        for (const auto& count : computed) {
          num_wrong += count == 1 ? 0 : 1;
        }
        std::vector<int> members(num_threads, 0);
        pool.run_together([&](std::size_t thread) {
          num_wrong += busy[thread]++;
          ++members[thread];
          --busy[thread];
        });
        num_wrong += members == std::vector<int>(num_threads, 1) ? 0 : 1;
      }
    };
    std::vector<std::thread> callers;
    for (std::size_t caller = 0; caller < 4; ++caller) {
      callers.emplace_back(call, caller);
    }
    for (std::thread& caller : callers) {
      caller.join();
    }
    CHECK(num_wrong == 0);
  }
}

// The first call's last item ends only after the second call has begun: a pool that finished one
// call before it began another would wait for ever.
TEST(a_thread_without_work_in_one_call_goes_on_with_the_next) {
  ThreadPool pool(2);
  std::atomic<bool> first_began = false, second_began = false;
  std::thread first([&] {
    pool.run(1, [&](std::size_t, std::size_t) {
      first_began = true;
      while (!second_began) {
        std::this_thread::yield();
      }
    });
  });
  while (!first_began) {
    std::this_thread::yield();
  }
  pool.run(1, [&](std::size_t, std::size_t) { second_began = true; });
  first.join();
  CHECK(second_began);
}

// While the first call's first item is computed, a small call comes after a large one, and is done
// before it: one thread takes all items, one after another.
TEST(a_call_of_few_items_does_not_wait_for_one_of_many) {
  ThreadPool pool(1);
  std::atomic<bool> began = false;
  std::atomic<int> num_waiting = 0, num_computed = 0;
  int small = 0, last_large = 0;
  std::thread first([&] {
    pool.run(1, [&](std::size_t, std::size_t) {
      began = true;
      while (num_waiting < 2) {
        std::this_thread::yield();
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(300));  // both have come
    });
  });
  while (!began) {
    std::this_thread::yield();
  }
  std::thread large([&] {
    ++num_waiting;
    pool.run(5, [&](std::size_t, std::size_t) { last_large = ++num_computed; });
  });
  while (num_waiting < 1) {
    std::this_thread::yield();
  }
  ++num_waiting;
  pool.run(1, [&](std::size_t, std::size_t) { small = ++num_computed; });
  first.join();
  large.join();
  CHECK(small == 1 && last_large == 6);
}

TEST(a_pool_is_busy_while_it_computes) {
  ThreadPool pool(2);
  bool was_busy = false;
  pool.run(1, [&](std::size_t, std::size_t) { was_busy = pool.is_busy(); });
  CHECK(was_busy && !pool.is_busy());
}

TEST(pools_of_one_size_are_shared_while_somebody_holds_them) {
  const std::shared_ptr<ThreadPool> pool = shared_thread_pool(2);
  CHECK(shared_thread_pool(2) == pool);
  CHECK(shared_thread_pool(3) != pool && shared_thread_pool(3)->num_threads() == 3);
}

TEST(a_pool_that_never_ran_ends) { const ThreadPool pool(3); }

// Each member writes its own number of the round, waits, and reads all of them; a member let
// through early would read an old one, and a member let through twice would write a new one too
// early.
TEST(a_barrier_lets_all_through_together_again_and_again) {
  for (const std::size_t num_threads : {1, 2, 3, 5}) {
    ThreadPool pool(num_threads);
    Barrier barrier(num_threads);
    std::vector<int> written(num_threads, 0);
    std::atomic<int> num_wrong = 0;
    pool.run_together([&](std::size_t member) {
      for (int round = 1; round <= 500; ++round) {
        written[member] = round;
        barrier.wait();
        for (const int number : written) {
          num_wrong += number == round ? 0 : 1;
        }
        barrier.wait();
      }
    });
    CHECK(num_wrong == 0);
  }
}

// Longer than it spins, so that it has to sleep and be woken.
TEST(a_member_that_waits_long_is_woken) {
  ThreadPool pool(2);
  Barrier barrier(2);
  int written = 0, read = 0;
  pool.run_together([&](std::size_t member) {
    if (member == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      written = 7;
    }
    barrier.wait();
    if (member == 0) {
      read = written;
    }
  });
  CHECK(read == 7);
}

}  // namespace
}  // namespace twopass
