#include "encoder/grouping.h"

#include <algorithm>
#include <numeric>

#include "check.h"
#include "samples.h"

namespace twopass {
namespace {

using Lengths = std::vector<std::size_t>;

constexpr std::size_t kMaxGroupTokens = 512;

std::vector<std::size_t> tokens_of(const GroupPlan& plan, const Lengths& lengths) {
  std::vector<std::size_t> tokens;
  for (const std::vector<std::uint32_t>& group : plan.groups) {
    std::size_t sum = 0;
    for (const std::uint32_t sequence : group) {
      sum += lengths[sequence];
    }
    tokens.push_back(sum);
  }
  return tokens;
}

void check_plan(const GroupPlan& plan, const Lengths& lengths, std::size_t max_group_tokens) {
  std::vector<std::uint32_t> sequences;
  for (const std::vector<std::uint32_t>& group : plan.groups) {
    CHECK(!group.empty());
    sequences.insert(sequences.end(), group.begin(), group.end());
  }
  std::sort(sequences.begin(), sequences.end());
  std::vector<std::uint32_t> all(lengths.size());
  std::iota(all.begin(), all.end(), 0U);
  CHECK(sequences == all);
  for (const std::size_t tokens : tokens_of(plan, lengths)) {
    CHECK(tokens <= max_group_tokens);
  }
}

TEST(every_sequence_is_in_one_group_and_no_group_is_too_large) {
  test::Samples samples(1);
  bool was_shared = false, was_apart = false;
  for (int trial = 0; trial < 500; ++trial) {
    const std::size_t max_group_tokens = trial % 2 == 0 ? kMaxGroupTokens : 2048;
    Lengths lengths(static_cast<std::size_t>(samples.integer(0, 60)));
    const int longest = trial % 3 == 0 ? 20 : static_cast<int>(max_group_tokens);
    for (std::size_t& length : lengths) {
      length = static_cast<std::size_t>(samples.integer(1, longest));
    }
    const auto num_threads = static_cast<std::size_t>(samples.integer(1, 9));
    const GroupPlan plan = plan_groups(lengths, num_threads, max_group_tokens);
    check_plan(plan, lengths, max_group_tokens);
    CHECK(num_threads > 1 || !plan.is_shared);
    was_shared = was_shared || plan.is_shared;
    was_apart = was_apart || (num_threads > 1 && !plan.is_shared);
  }
  CHECK(was_shared && was_apart);
}

TEST(the_longest_sequences_there_are_get_groups_of_their_own) {
  const Lengths lengths(5, kMaxGroupTokens);
  for (const std::size_t num_threads : {1, 2, 8}) {
    const GroupPlan plan = plan_groups(lengths, num_threads, kMaxGroupTokens);
    check_plan(plan, lengths, kMaxGroupTokens);
    CHECK(plan.groups.size() == 5);
  }
}

// Two of these are two tokens more than a group holds, and shared groups are as few as can be.
TEST(a_group_that_would_be_a_little_too_large_is_split) {
  const Lengths lengths(3, kMaxGroupTokens / 2 + 1);
  const GroupPlan plan = plan_groups(lengths, 2, kMaxGroupTokens);
  CHECK(plan.is_shared);
  check_plan(plan, lengths, kMaxGroupTokens);
}

TEST(nothing_makes_no_groups) { CHECK(plan_groups({}, 4, kMaxGroupTokens).groups.empty()); }

TEST(one_long_sequence_is_shared_and_many_are_not) {
  CHECK(plan_groups(Lengths{400}, 2, kMaxGroupTokens).is_shared);
  CHECK(!plan_groups(Lengths(64, 100), 2, kMaxGroupTokens).is_shared);
}

TEST(the_largest_group_comes_first) {
  const Lengths lengths{3, 200, 7, 90, 500, 1, 1, 260, 31};
  const std::vector<std::size_t> tokens =
      tokens_of(plan_groups(lengths, 1, kMaxGroupTokens), lengths);
  CHECK(std::is_sorted(tokens.rbegin(), tokens.rend()));
}

}  // namespace
}  // namespace twopass
