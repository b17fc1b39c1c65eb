#ifndef TWOPASS_PACKING_H_
#define TWOPASS_PACKING_H_

#include <cstdint>
#include <span>

#include "twopass/ragged.h"

namespace twopass {

// Both functions collect the sequences of one batch: those numbered rows [num_rows], in that order,
// repeats allowed. They throw std::invalid_argument for a row number outside sequences.

// The batch as a packed engine takes it. query_lengths has one entry for each of the sequences.
// Also throws when the batch has more tokens than int32 counts.
TokenBatch gather_packed(const RaggedView& sequences, std::span<const std::int32_t> query_lengths,
                         std::span<const std::int32_t> rows);

// The batch as a padded engine takes it, in buffers of the caller's that overlap none of the
// inputs:
//   out_token_ids  [num_rows, seq_len] row-major, pad_id after the end of each sequence
//   out_lengths    [num_rows] tokens before the padding
// Larger buffers keep what they hold beyond these. Also throws for a sequence longer than seq_len
// and for a buffer too small; a call that throws has written nothing.
void pack_padded(const RaggedView& sequences, std::span<const std::int32_t> rows,
                 std::int32_t seq_len, std::int32_t pad_id, std::span<std::int32_t> out_token_ids,
                 std::span<std::int32_t> out_lengths);

}  // namespace twopass

#endif  // TWOPASS_PACKING_H_
