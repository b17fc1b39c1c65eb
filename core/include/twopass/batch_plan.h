#ifndef TWOPASS_BATCH_PLAN_H_
#define TWOPASS_BATCH_PLAN_H_

#include <cstdint>
#include <span>
#include <vector>

namespace twopass {

// Which rows are computed together. Rows are taken longest first, ties by row number, so that a
// plan depends on its arguments alone.
struct BatchPlan {
  std::vector<std::int32_t> order;          // [num_rows] row numbers, batch after batch
  std::vector<std::int32_t> batch_offsets;  // [num_batches + 1], into order
  std::vector<std::int32_t> seq_lens;       // [num_batches] tokens that each row of a batch fits in
};

// Both planners take lengths [num_rows] in tokens, and fill a batch up to max_batch_tokens; a row
// that exceeds it on its own gets a batch of its own. They throw std::invalid_argument for a length
// or a budget below 1.

// Batches for an engine that computes exactly the tokens it is given: a batch costs the sum of its
// lengths, and its seq_len is its longest row.
BatchPlan plan_packed(std::span<const std::int32_t> lengths, std::int64_t max_batch_tokens);

// Batches for an engine that pads every row to one of buckets, lengths in tokens, ascending. A
// batch costs its rows times its seq_len, the smallest bucket that each of its rows fits in. Also
// throws for a length above the largest bucket, and for buckets that are missing, below 1,
// or not ascending.
BatchPlan plan_padded(std::span<const std::int32_t> lengths, std::span<const std::int32_t> buckets,
                      std::int64_t max_batch_tokens);

}  // namespace twopass

#endif  // TWOPASS_BATCH_PLAN_H_
