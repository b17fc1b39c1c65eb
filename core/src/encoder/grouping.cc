#include "encoder/grouping.h"

#include <algorithm>
#include <numeric>

namespace twopass {
namespace {

// Tokens of a group that one thread computes by itself: enough to use a layer's weights well, few
// enough for the second cache.
constexpr std::size_t kGroupTokens = 256;

// What waiting for each other costs threads that share a group, in tokens of work.
constexpr std::size_t kSharingCost = 24;

struct Group {
  std::size_t num_tokens = 0;
  std::vector<std::uint32_t> sequences;
};

std::vector<std::uint32_t> longest_first(std::span<const std::size_t> lengths) {
  std::vector<std::uint32_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return lengths[a] > lengths[b]; });
  return order;
}

bool is_smaller(const Group& a, const Group& b) { return a.num_tokens < b.num_tokens; }

// Sequences, longest first, each to the group that has the least yet (Graham 1969).
std::vector<Group> spread(std::span<const std::size_t> lengths, std::size_t num_groups,
                          std::size_t max_group_tokens) {
  std::vector<Group> groups(num_groups);
  for (const std::uint32_t sequence : longest_first(lengths)) {
    auto target = std::min_element(groups.begin(), groups.end(), is_smaller);
    if (target->num_tokens + lengths[sequence] > max_group_tokens) {
      target = groups.insert(groups.end(), Group());
    }
    target->num_tokens += lengths[sequence];
    target->sequences.push_back(sequence);
  }
  std::erase_if(groups, [](const Group& group) { return group.sequences.empty(); });
  std::stable_sort(groups.begin(), groups.end(),
                   [](const Group& a, const Group& b) { return is_smaller(b, a); });
  return groups;
}

// Tokens that the busiest thread computes when each takes the next group as it comes free.
std::size_t busiest(const std::vector<Group>& groups, std::size_t num_threads) {
  std::vector<std::size_t> loads(num_threads, 0);
  for (const Group& group : groups) {
    *std::min_element(loads.begin(), loads.end()) += group.num_tokens;
  }
  return *std::max_element(loads.begin(), loads.end());
}

GroupPlan plan_of(std::vector<Group> groups, bool is_shared) {
  GroupPlan plan{{}, is_shared};
  for (Group& group : groups) {
    plan.groups.push_back(std::move(group.sequences));
  }
  return plan;
}

}  // namespace

GroupPlan plan_groups(std::span<const std::size_t> lengths, std::size_t num_threads,
                      std::size_t max_group_tokens) {
  const std::size_t total = std::accumulate(lengths.begin(), lengths.end(), std::size_t{0});
  const std::size_t rounds = total / (num_threads * kGroupTokens) + 1;
  std::vector<Group> own = spread(lengths, num_threads * rounds, max_group_tokens);
  if (num_threads == 1) {
    return plan_of(std::move(own), false);
  }
  std::vector<Group> shared = spread(lengths, total / max_group_tokens + 1, max_group_tokens);
  const std::size_t shared_cost = total / num_threads + kSharingCost * shared.size();
  const bool is_shared = shared_cost < busiest(own, num_threads);
  return plan_of(std::move(is_shared ? shared : own), is_shared);
}

}  // namespace twopass
