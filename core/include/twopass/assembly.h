#ifndef TWOPASS_ASSEMBLY_H_
#define TWOPASS_ASSEMBLY_H_

#include <cstdint>
#include <span>
#include <vector>

#include "twopass/ragged.h"

namespace twopass {

// Where special tokens go in a pair: prefix query separator passage suffix. Unowned.
struct PairTemplate {
  std::span<const std::int32_t> prefix;
  std::span<const std::int32_t> separator;
  std::span<const std::int32_t> suffix;
};

struct Assembly {
  TokenBatch batch;
  std::vector<std::uint8_t> truncated;  // [num_sequences] 1 where a row was cut, else 0
};

// Both assemblers cut the end of a row so that its sequence has at most max_seq_len tokens, and
// throw std::invalid_argument when not one token of a row would be left, or when all sequences
// together have more tokens than int32 counts.

// One sequence for each passage, the query before it. The query is never cut. Token type 0 covers
// the prefix, the query and the first separator token: in BERT's `[CLS] q [SEP] p [SEP]` the second
// segment starts with the passage, and RoBERTa, with two separators, has no token types.
Assembly assemble_pairs(std::span<const std::int32_t> query_ids, const RaggedView& passages,
                        const PairTemplate& pair_template, std::int32_t max_seq_len);

// One sequence for each text: prefix text suffix, all of it of token type 0.
Assembly assemble_singles(const RaggedView& texts, std::span<const std::int32_t> prefix,
                          std::span<const std::int32_t> suffix, std::int32_t max_seq_len);

}  // namespace twopass

#endif  // TWOPASS_ASSEMBLY_H_
