#ifndef TWOPASS_SPLICING_H_
#define TWOPASS_SPLICING_H_

#include <cstdint>
#include <span>
#include <vector>

#include "twopass/ragged.h"

namespace twopass {

// Rows of token ids that are owned.
struct OwnedRows {
  std::vector<std::int32_t> token_ids;  // [num_tokens]
  std::vector<std::int32_t> offsets;    // [num_rows + 1]
};

// Rows with further tokens put into them, each cut after max_tokens.
//   rows       what they are put into
//   into       [num_parts], the row that each part belongs to, ascending
//   positions  [num_parts], before which of the row's own tokens it stands, ascending within a row;
//              parts of one position stand in their order
//   parts      the tokens, a row for each part
// Throws std::invalid_argument where into, positions and parts do not go together, leave the rows
// or are out of order, for a negative max_tokens, and when the total leaves int32.
OwnedRows splice(const RaggedView& rows, std::span<const std::int32_t> into,
                 std::span<const std::int32_t> positions, const RaggedView& parts,
                 std::int32_t max_tokens);

}  // namespace twopass

#endif  // TWOPASS_SPLICING_H_
