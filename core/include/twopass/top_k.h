#ifndef TWOPASS_TOP_K_H_
#define TWOPASS_TOP_K_H_

#include <cstdint>
#include <span>
#include <vector>

namespace twopass {

// Indices of the k highest scores, best first, ties by lower index, NaN after every number; all of
// them if k exceeds their count. O(n + k log k). Throws std::invalid_argument for a negative k.
std::vector<std::int32_t> top_k(std::span<const float> scores, std::int64_t k);

}  // namespace twopass

#endif  // TWOPASS_TOP_K_H_
