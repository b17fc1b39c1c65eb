#include "twopass/batch_plan.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <numeric>
#include <utility>

#include "require.h"

namespace twopass {
namespace {

void require_positive_lengths(std::span<const std::int32_t> lengths) {
  for (std::size_t row = 0; row < lengths.size(); ++row) {
    require(lengths[row] >= 1, "lengths[", row, "]: ", lengths[row], " given, at least 1");
  }
}

void require_ascending_buckets(std::span<const std::int32_t> buckets) {
  require(!buckets.empty(), "buckets: none given, at least 1");
  require(buckets.front() >= 1, "buckets[0]: ", buckets.front(), " given, at least 1");
  for (std::size_t i = 1; i < buckets.size(); ++i) {
    require(buckets[i - 1] < buckets[i], "buckets[", i, "]: ", buckets[i], " given, above ",
            buckets[i - 1], ", the bucket before it");
  }
}

// The smallest bucket that each row fits in.
std::vector<std::int32_t> pad_to_buckets(std::span<const std::int32_t> lengths,
                                         std::span<const std::int32_t> buckets) {
  std::vector<std::int32_t> padded;
  padded.reserve(lengths.size());
  for (std::size_t row = 0; row < lengths.size(); ++row) {
    require(lengths[row] <= buckets.back(), "lengths[", row, "]: ", lengths[row],
            " given, at most ", buckets.back(), ", the largest bucket");
    padded.push_back(*std::lower_bound(buckets.begin(), buckets.end(), lengths[row]));
  }
  return padded;
}

std::vector<std::int32_t> longest_first(std::span<const std::int32_t> lengths) {
  std::vector<std::int32_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [lengths](std::int32_t a, std::int32_t b) { return lengths[a] > lengths[b]; });
  return order;
}

// Cuts the order wherever the next row would exceed the budget, or may not join a batch of this
// seq_len. costs are tokens by row number and fall along the order.
template <typename MayJoin>
BatchPlan cut_into_batches(std::vector<std::int32_t> order, std::span<const std::int32_t> costs,
                           std::int64_t max_batch_tokens, MayJoin may_join) {
  require(max_batch_tokens >= 1, "max_batch_tokens: ", max_batch_tokens, " given, at least 1");
  BatchPlan plan;
  std::int64_t batch_tokens = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::int32_t cost = costs[order[i]];
    const bool joins = !plan.seq_lens.empty() && may_join(plan.seq_lens.back(), cost) &&
                       batch_tokens + cost <= max_batch_tokens;
    if (!joins) {
      plan.batch_offsets.push_back(static_cast<std::int32_t>(i));
      plan.seq_lens.push_back(cost);
      batch_tokens = 0;
    }
    batch_tokens += cost;
  }
  plan.batch_offsets.push_back(static_cast<std::int32_t>(order.size()));
  plan.order = std::move(order);
  return plan;
}

}  // namespace

BatchPlan plan_packed(std::span<const std::int32_t> lengths, std::int64_t max_batch_tokens) {
  require_positive_lengths(lengths);
  const auto any_length = [](std::int32_t, std::int32_t) { return true; };
  return cut_into_batches(longest_first(lengths), lengths, max_batch_tokens, any_length);
}

BatchPlan plan_padded(std::span<const std::int32_t> lengths, std::span<const std::int32_t> buckets,
                      std::int64_t max_batch_tokens) {
  require_positive_lengths(lengths);
  require_ascending_buckets(buckets);
  const std::vector<std::int32_t> padded = pad_to_buckets(lengths, buckets);
  return cut_into_batches(longest_first(lengths), padded, max_batch_tokens, std::equal_to<>());
}

}  // namespace twopass
