#include "twopass/ragged.h"

#include "require.h"

namespace twopass {

RaggedView::RaggedView(std::span<const std::int32_t> token_ids,
                       std::span<const std::int32_t> offsets)
    : token_ids_(token_ids), offsets_(offsets) {
  require(!offsets.empty(), "offsets: none given, one more than rows");
  require(offsets.front() == 0, "offsets[0]: ", offsets.front(), " given, always 0");
  for (std::size_t i = 1; i < offsets.size(); ++i) {
    require(offsets[i - 1] <= offsets[i], "offsets[", i, "]: ", offsets[i], " given, at least ",
            offsets[i - 1], ", where the row before it ends");
  }
  require(static_cast<std::size_t>(offsets.back()) == token_ids.size(), "offsets[",
          offsets.size() - 1, "]: ", offsets.back(), " given, but there are ", token_ids.size(),
          " token ids");
}

}  // namespace twopass
