#include "twopass/top_k.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "require.h"

namespace twopass {

std::vector<std::int32_t> top_k(std::span<const float> scores, std::int64_t k) {
  require(k >= 0, "k: ", k, " given, at least 0");

  // A total order, so that neither algorithm's freedom shows in the result.
  const auto is_better = [scores](std::int32_t a, std::int32_t b) {
    const bool a_is_nan = std::isnan(scores[a]);
    const bool b_is_nan = std::isnan(scores[b]);
    if (a_is_nan != b_is_nan) {
      return b_is_nan;
    }
    if (!a_is_nan && scores[a] != scores[b]) {
      return scores[a] > scores[b];
    }
    return a < b;
  };

  std::vector<std::int32_t> indices(scores.size());
  std::iota(indices.begin(), indices.end(), 0);
  const auto end = indices.begin() + std::min(k, std::ssize(indices));
  std::nth_element(indices.begin(), end, indices.end(), is_better);
  std::sort(indices.begin(), end, is_better);
  return {indices.begin(), end};
}

}  // namespace twopass
