#include "twopass/splicing.h"

#include <algorithm>
#include <cstddef>

#include "packing/row_offsets.h"
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
  std::size_t part = 0;
  spliced.offsets = row_offsets(rows.num_rows(), [&](std::size_t row) {
    const std::size_t own = rows[row].size();
    std::size_t length = own;
    std::int32_t least = 0;
    for (; part < parts.num_rows() && into[part] == static_cast<std::int32_t>(row); ++part) {
      require(least <= positions[part] && static_cast<std::size_t>(positions[part]) <= own,
              "positions[", part, "]: ", positions[part], " given, from ", least, " to ", own,
              " is possible");
      least = positions[part];
      length += parts[part].size();
    }
    return std::min(length, static_cast<std::size_t>(max_tokens));
  });
  require(part == parts.num_rows(), "into[", part, "]: out of order, or no row there is");

  auto& ids = spliced.token_ids;
  ids.reserve(spliced.offsets.back());
  part = 0;
  for (std::size_t row = 0; row < rows.num_rows(); ++row) {
    const auto end = static_cast<std::size_t>(spliced.offsets[row + 1]);
    const auto append = [&ids, end](std::span<const std::int32_t> more) {
      const auto kept = more.first(std::min(more.size(), end - ids.size()));
      ids.insert(ids.end(), kept.begin(), kept.end());
    };
    const std::span<const std::int32_t> own = rows[row];
    std::size_t done = 0;
    for (; part < parts.num_rows() && into[part] == static_cast<std::int32_t>(row); ++part) {
      const auto position = static_cast<std::size_t>(positions[part]);
      append(own.subspan(done, position - done));
      append(parts[part]);
      done = position;
    }
    append(own.subspan(done));
  }
  return spliced;
}

}  // namespace twopass
