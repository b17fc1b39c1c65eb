#include "twopass/splicing.h"

#include <algorithm>
#include <cstddef>

#include "require.h"

namespace twopass {

OwnedRows splice(const RaggedView& rows, std::span<const std::int32_t> into,
                 std::span<const std::int32_t> positions, const RaggedView& parts,
                 std::int32_t max_tokens) {
  require(max_tokens >= 0, "max_tokens: ", max_tokens, " given, at least 0 is needed");
  require(into.size() == parts.num_rows() && positions.size() == parts.num_rows(),
          "parts: ", parts.num_rows(), " given, but ", into.size(), " rows and ", positions.size(),
          " positions");
  OwnedRows spliced;
  spliced.offsets.reserve(rows.num_rows() + 1);
  spliced.offsets.push_back(0);
  auto& ids = spliced.token_ids;
  std::size_t part = 0;
  for (std::size_t row = 0; row < rows.num_rows(); ++row) {
    const std::span<const std::int32_t> own = rows[row];
    const std::size_t begin = ids.size();
    std::size_t done = 0;
    for (; part < parts.num_rows() && into[part] == static_cast<std::int32_t>(row); ++part) {
      const auto position = static_cast<std::size_t>(positions[part]);
      require(positions[part] >= 0 && done <= position && position <= own.size(), "positions[",
              part, "]: ", positions[part], " given, from ", done, " to ", own.size(),
              " is possible");
      ids.insert(ids.end(), own.begin() + done, own.begin() + position);
      ids.insert(ids.end(), parts[part].begin(), parts[part].end());
      done = position;
    }
    ids.insert(ids.end(), own.begin() + done, own.end());
    ids.resize(begin + std::min<std::size_t>(ids.size() - begin, max_tokens));
    spliced.offsets.push_back(static_cast<std::int32_t>(ids.size()));
  }
  require(part == parts.num_rows(), "into[", part, "]: out of order, or no row there is");
  return spliced;
}

}  // namespace twopass
