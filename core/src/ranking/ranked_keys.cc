#include "twopass/ranked_keys.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>
#include <unordered_map>

#include "require.h"

namespace twopass {

ScoredKeys sum_by_key(std::span<const std::int64_t> keys, std::span<const double> shares) {
  require(keys.size() == shares.size(), "keys: ", keys.size(), " given, but ", shares.size(),
          " shares");
  std::unordered_map<std::int64_t, std::size_t> places;
  places.reserve(keys.size());
  std::vector<std::int64_t> distinct;
  std::vector<double> sums;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto [found, is_new] = places.try_emplace(keys[i], distinct.size());
    if (is_new) {
      distinct.push_back(keys[i]);
      sums.push_back(0);
    }
    sums[found->second] += shares[i];
  }
  const std::vector<float> scores(sums.begin(), sums.end());
  std::vector<std::size_t> order(distinct.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  ScoredKeys summed;
  summed.keys.reserve(order.size());
  summed.scores.reserve(order.size());
  for (const std::size_t place : order) {
    summed.keys.push_back(distinct[place]);
    summed.scores.push_back(scores[place]);
  }
  return summed;
}

std::vector<double> ranks_in(std::span<const std::int64_t> list,
                             std::span<const std::int64_t> wanted) {
  std::unordered_map<std::int64_t, std::size_t> ranks;
  ranks.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) ranks.emplace(list[i], i + 1);
  std::vector<double> found;
  found.reserve(wanted.size());
  for (const std::int64_t key : wanted) {
    const auto place = ranks.find(key);
    found.push_back(place == ranks.end() ? std::numeric_limits<double>::infinity()
                                         : static_cast<double>(place->second));
  }
  return found;
}

}  // namespace twopass
