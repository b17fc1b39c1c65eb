#ifndef TWOPASS_RANKED_KEYS_H_
#define TWOPASS_RANKED_KEYS_H_

#include <cstdint>
#include <span>
#include <vector>

namespace twopass {

// Documents with a score each, best first.
struct ScoredKeys {
  std::vector<std::int64_t> keys;  // [num_keys], each once
  std::vector<float> scores;       // [num_keys]
};

// Adds up the shares of each key, in the order in which they come, best first; equal sums, as
// float32, in the order in which their keys came.
//   keys    [n]
//   shares  [n], not NaN
// Throws std::invalid_argument where the sizes differ.
ScoredKeys sum_by_key(std::span<const std::int64_t> keys, std::span<const double> shares);

// The rank of each wanted key in a list of distinct keys, from 1; infinity where it is not in it.
std::vector<double> ranks_in(std::span<const std::int64_t> list,
                             std::span<const std::int64_t> wanted);

}  // namespace twopass

#endif  // TWOPASS_RANKED_KEYS_H_
