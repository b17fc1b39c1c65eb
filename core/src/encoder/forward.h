#ifndef TWOPASS_SRC_ENCODER_FORWARD_H_
#define TWOPASS_SRC_ENCODER_FORWARD_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cpu/aligned.h"
#include "cpu/kernels.h"
#include "cpu/thread_pool.h"
#include "encoder/weights.h"
#include "ops/attention.h"
#include "ops/linear.h"

namespace twopass {

// One sequence of a group, and where its output goes.
struct Sequence {
  std::span<const std::int32_t> token_ids;
  std::size_t query_length;
  float* output;
};

// What a forward pass writes for a sequence: what the head makes of it, or the vector of each of
// its tokens, [token_ids.size(), hidden_size].
enum class Output { kOfHead, kOfTokens };

// A thread's place among those that compute a group together, perhaps it alone.
struct Team {
  std::size_t member;
  std::size_t num_members;
  Barrier& barrier;

  Share share(std::size_t num_items) const { return share_of(num_items, member, num_members); }
  // Whether as many items, all alike, would keep every member busy until the end.
  bool shares_evenly(std::size_t num_items) const { return num_items % num_members == 0; }
};

// What a thread needs for itself.
struct OwnScratch {
  OwnScratch(const KernelTable& kernels, const EncoderConfig& config, Precision precision,
             std::size_t max_tokens);
  std::size_t num_bytes() const;

  AlignedArray<float> projected;   // [max_tokens, 3 * head_dim] queries, keys, values of one head
  AlignedArray<float> normalized;  // [kNormRows, hidden_size]
  AlignedArray<float> embedded;    // [block, embedding_size], where a projection follows
  EncodedRows encoded_embedded;    // the same
  Attention attention;
};

// The activations of one group.
struct GroupScratch {
  GroupScratch(const EncoderConfig& config, Precision precision, std::size_t max_tokens);
  std::size_t num_bytes() const;

  AlignedArray<float> hidden;        // [max_tokens, hidden_size], the residual stream
  AlignedArray<float> context;       // [max_tokens, hidden_size], heads side by side
  AlignedArray<float> projected;     // [max_tokens, 3 * hidden_size], where a team attends together
  AlignedArray<float> intermediate;  // [block, intermediate_size]
  EncodedRows encoded_hidden;
  EncodedRows encoded_context;
  EncodedRows encoded_intermediate;
};

// The forward pass of one group of sequences.
class Forward {
 public:
  Forward(const KernelTable& kernels, const EncoderConfig& config, const EncoderWeights& weights)
      : kernels_(kernels), config_(config), weights_(weights) {}

  // Called by every member of the team with the same sequences and group scratch.
  void run(std::span<const Sequence> sequences, Output output, const Team& team,
           GroupScratch& group, OwnScratch& own) const;

 private:
  class Pass;
  const KernelTable& kernels_;
  const EncoderConfig& config_;
  const EncoderWeights& weights_;
};

}  // namespace twopass

#endif  // TWOPASS_SRC_ENCODER_FORWARD_H_
