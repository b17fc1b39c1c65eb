#ifndef TWOPASS_SRC_PACKING_ROW_OFFSETS_H_
#define TWOPASS_SRC_PACKING_ROW_OFFSETS_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "require.h"

namespace twopass {

// Offsets [num_rows + 1] of rows laid end to end, the length of row i being length_of(i). Throws
// std::invalid_argument when the total leaves int32.
template <std::invocable<std::size_t> LengthOf>
std::vector<std::int32_t> row_offsets(std::size_t num_rows, LengthOf length_of) {
  constexpr std::int64_t kMaxTokens = std::numeric_limits<std::int32_t>::max();
  std::vector<std::int32_t> offsets;
  offsets.reserve(num_rows + 1);
  offsets.push_back(0);
  for (std::size_t row = 0; row < num_rows; ++row) {
    const std::int64_t end = offsets.back() + static_cast<std::int64_t>(length_of(row));
    require(end <= kMaxTokens, "row ", row, " would end at token ", end, ", at most ", kMaxTokens,
            " in one batch");
    offsets.push_back(static_cast<std::int32_t>(end));
  }
  return offsets;
}

}  // namespace twopass

#endif  // TWOPASS_SRC_PACKING_ROW_OFFSETS_H_
