#ifndef TWOPASS_SRC_OPS_ATTENTION_H_
#define TWOPASS_SRC_OPS_ATTENTION_H_

#include <cstddef>
#include <cstdint>
#include <limits>

#include "cpu/aligned.h"
#include "cpu/kernels.h"

namespace twopass {

// One head of one sequence, row-major with a common stride.
struct HeadInput {
  const float* queries;  // [seq_len, head_dim], divided by sqrt(head_dim) already
  const float* keys;     // [seq_len, head_dim]
  const float* values;   // [seq_len, head_dim]
  std::size_t query_stride;
  std::size_t stride;       // of keys and values
  std::size_t num_queries;  // the first [0, num_queries) unless first_query says otherwise
  std::size_t seq_len;
  std::size_t window = kNoWindow;  // a query sees the keys at most so many places away
  // Added to scores: bias[j - i] to those of the key at j for the query at i. Readable for all
  // tokens, and to the right of the last for kPanelWidth more; or null.
  const float* bias = nullptr;

  // Queries [first_query, num_queries) are computed; a multiple of Attention::kBlockRows, so that a
  // part gets the same bits as in the whole.
  std::size_t first_query = 0;

  static constexpr std::size_t kNoWindow = std::numeric_limits<std::size_t>::max();
};

// softmax(Q K^T + bias) V (Vaswani et al. 2017), with the scratch memory of one thread. Products
// are in bfloat16 or float32, the softmax in float32.
class Attention {
 public:
  // Whether products are in bfloat16, which only pays where kernels.has_fast_bf16.
  Attention(const KernelTable& kernels, bool in_bf16, std::size_t max_seq_len,
            std::size_t head_dim);

  // Queries that are computed together: their scores stay in the second cache.
  static constexpr std::size_t kBlockRows = 64;

  // Writes the rows [first_query, num_queries) of output, [seq_len, head_dim], a row every
  // output_stride.
  void attend(const HeadInput& head, float* output, std::size_t output_stride);

  std::size_t num_bytes() const;

 private:
  // A block of queries, and the keys that one of them sees at least, to whole panels.
  struct Block {
    std::size_t first_query, num_queries;
    std::size_t first_key, num_keys;
  };

  void pack_f32(const HeadInput& head);
  void pack_bf16(const HeadInput& head);
  Block block_from(const HeadInput& head, std::size_t first_query) const;
  template <typename Share>
  void exponentiate(const HeadInput& head, const Block& block, Share* shares,
                    void (*exp_rows)(const ExpRows<Share>&) noexcept);
  void attend_f32(const HeadInput& head, const Block& block, float* output,
                  std::size_t output_stride);
  void attend_bf16(const HeadInput& head, const Block& block, float* output,
                   std::size_t output_stride);

  const KernelTable& kernels_;
  const bool in_bf16_;
  const std::size_t head_dim_;
  std::size_t padded_len_ = 0;          // of the sequence under way, to whole panels
  AlignedArray<std::uint32_t> keys_;    // K^T as panels
  AlignedArray<std::uint32_t> values_;  // V as panels
  AlignedArray<std::uint32_t> rows_;    // K, then a block of Q, in the type of the products
  AlignedArray<float> scores_;          // [kBlockRows, padded_len_]
  AlignedArray<std::uint16_t> shares_;  // the same in bfloat16, exponentiated
  AlignedArray<float> inverse_sums_;    // [kBlockRows]
  AlignedArray<float> zeros_;           // [head_dim]
};

}  // namespace twopass

#endif  // TWOPASS_SRC_OPS_ATTENTION_H_
