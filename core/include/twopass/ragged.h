#ifndef TWOPASS_RAGGED_H_
#define TWOPASS_RAGGED_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace twopass {

// Rows of token ids of unequal length, end to end in one array. Unowned, and sound once
// constructed.
class RaggedView {
 public:
  //   token_ids  [num_tokens]
  //   offsets    [num_rows + 1]; row i is token_ids[offsets[i]] up to token_ids[offsets[i + 1]]
  // Throws std::invalid_argument unless offsets start at 0, never decrease and end at num_tokens.
  RaggedView(std::span<const std::int32_t> token_ids, std::span<const std::int32_t> offsets);

  std::size_t num_rows() const { return offsets_.size() - 1; }

  std::span<const std::int32_t> operator[](std::size_t row) const {
    return token_ids_.subspan(offsets_[row], offsets_[row + 1] - offsets_[row]);
  }

 private:
  std::span<const std::int32_t> token_ids_;
  std::span<const std::int32_t> offsets_;
};

// Sequences ready for a forward pass, special tokens included, ragged.
struct TokenBatch {
  std::vector<std::int32_t> token_ids;      // [num_tokens]
  std::vector<std::int32_t> offsets;        // [num_sequences + 1]
  std::vector<std::int32_t> query_lengths;  // [num_sequences], leading tokens of token type 0
};

}  // namespace twopass

#endif  // TWOPASS_RAGGED_H_
