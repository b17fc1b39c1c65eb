#ifndef TWOPASS_SRC_ENCODER_GROUPING_H_
#define TWOPASS_SRC_ENCODER_GROUPING_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace twopass {

// How a batch is shared among threads. Sequences are computed in groups, whose activations stay in
// the second cache: each by one thread, or, where there are too few, each by all threads together.
struct GroupPlan {
  std::vector<std::vector<std::uint32_t>> groups;  // sequence numbers; largest group first
  bool is_shared;                                  // each group by all threads
};

// lengths [num_sequences] are at most max_group_tokens; no group holds more tokens than that.
GroupPlan plan_groups(std::span<const std::size_t> lengths, std::size_t num_threads,
                      std::size_t max_group_tokens);

}  // namespace twopass

#endif  // TWOPASS_SRC_ENCODER_GROUPING_H_
