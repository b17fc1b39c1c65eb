#include "cpu/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
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

TEST(every_member_runs_once_a_round_each_on_its_own_thread) {
  for (const std::size_t num_threads : {1, 2, 3, 8}) {
    ThreadPool pool(num_threads);
    CHECK(pool.num_threads() == num_threads);
    std::vector<int> runs(num_threads, 0);
    std::vector<std::thread::id> threads(num_threads);
    for (int round = 1; round <= 200; ++round) {
      pool.run([&](std::size_t member) {
        ++runs[member];
        threads[member] = std::this_thread::get_id();
      });
      CHECK(runs == std::vector<int>(num_threads, round));
    }
    CHECK(threads[0] == std::this_thread::get_id());
    for (std::size_t i = 0; i < num_threads; ++i) {
      CHECK(std::count(threads.begin(), threads.end(), threads[i]) == 1);
    }
  }
}

TEST(a_pool_of_none_is_the_caller_alone) {
  ThreadPool pool(0);
  std::size_t runs = 0;
  pool.run([&](std::size_t member) { runs += 1 + member; });
  CHECK(pool.num_threads() == 1 && runs == 1);
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
    pool.run([&](std::size_t member) {
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
  pool.run([&](std::size_t member) {
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

TEST(there_is_a_cpu_to_use) { CHECK(num_usable_cpus() >= 1); }

}  // namespace
}  // namespace twopass
