#include "ops/attention.h"

#include <algorithm>
#include <cstring>

namespace twopass {
namespace {

std::size_t round_up(std::size_t value, std::size_t step) {
  return (value + step - 1) / step * step;
}

}  // namespace

Attention::Attention(const KernelTable& kernels, bool in_bf16, std::size_t max_seq_len,
                     std::size_t head_dim)
    : kernels_(kernels), in_bf16_(in_bf16), head_dim_(head_dim) {
  const std::size_t max_len = round_up(max_seq_len, kPanelWidth);
  const std::size_t words = in_bf16 ? head_dim / 2 : head_dim;  // of a row
  keys_ = AlignedArray<std::uint32_t>(max_len * words);
  values_ = AlignedArray<std::uint32_t>(max_len * words);
  rows_ = AlignedArray<std::uint32_t>(std::max(max_len, kBlockRows) * words);
  scores_ = AlignedArray<float>(kBlockRows * max_len);
  shares_ = AlignedArray<std::uint16_t>(in_bf16 ? kBlockRows * max_len : 0);
  inverse_sums_ = AlignedArray<float>(kBlockRows);
  zeros_ = AlignedArray<float>(head_dim);
}

std::size_t Attention::num_bytes() const {
  return keys_.num_bytes() + values_.num_bytes() + rows_.num_bytes() + scores_.num_bytes() +
         shares_.num_bytes() + inverse_sums_.num_bytes() + zeros_.num_bytes();
}

void Attention::attend(const HeadInput& head, float* output, std::size_t output_stride) {
  padded_len_ = round_up(head.seq_len, kPanelWidth);
  in_bf16_ ? pack_bf16(head) : pack_f32(head);
  for (std::size_t first = head.first_query; first < head.num_queries; first += kBlockRows) {
    const Block block = block_from(head, first);
    float* target = output + first * output_stride;
    if (in_bf16_) {
      attend_bf16(head, block, target, output_stride);
    } else {
      attend_f32(head, block, target, output_stride);
    }
    kernels_.scale_rows(target, output_stride, block.num_queries, head_dim_, inverse_sums_.data());
  }
}

Attention::Block Attention::block_from(const HeadInput& head, std::size_t first_query) const {
  const std::size_t num_queries = std::min(kBlockRows, head.num_queries - first_query);
  if (head.window >= head.seq_len) {
    return {first_query, num_queries, 0, padded_len_};
  }
  const std::size_t first_seen = first_query - std::min(first_query, head.window);
  const std::size_t first_key = first_seen / kPanelWidth * kPanelWidth;
  const std::size_t last_seen = first_query + num_queries + head.window;
  const std::size_t last_key = std::min(padded_len_, round_up(last_seen, kPanelWidth));
  return {first_query, num_queries, first_key, last_key - first_key};
}

template <typename Share>
void Attention::exponentiate(const HeadInput& head, const Block& block, Share* shares,
                             void (*exp_rows)(const ExpRows<Share>&) noexcept) {
  const auto first_query = static_cast<std::ptrdiff_t>(block.first_query);
  const auto first_key = static_cast<std::ptrdiff_t>(block.first_key);
  ExpRows<Share> rows{scores_.data(),
                      block.num_queries,
                      std::min(block.num_keys, head.seq_len - block.first_key),
                      block.num_keys,
                      shares,
                      inverse_sums_.data()};
  if (head.window < head.seq_len) {
    const auto window = static_cast<std::ptrdiff_t>(head.window);
    rows.first_key = first_query - window - first_key;
    rows.last_key = first_query + window + 1 - first_key;
  }
  if (head.bias != nullptr) {
    rows.bias = head.bias + (first_key - first_query);
  }
  exp_rows(rows);
}

void Attention::pack_f32(const HeadInput& head) {
  auto* values = reinterpret_cast<float*>(values_.data());
  auto* keys = reinterpret_cast<float*>(rows_.data());
  for (std::size_t r = 0; r < head.seq_len; ++r) {
    std::memcpy(keys + r * head_dim_, head.keys + r * head.stride, head_dim_ * sizeof(float));
    for (std::size_t c = 0; c < head_dim_; c += kPanelWidth) {
      std::memcpy(values + c * padded_len_ + r * kPanelWidth, head.values + r * head.stride + c,
                  kPanelWidth * sizeof(float));
    }
  }
  // Beyond the sequence scores are overwritten and shares vanish, but 0 * infinity would not.
  const std::size_t num_padding = padded_len_ - head.seq_len;
  std::memset(keys + head.seq_len * head_dim_, 0, num_padding * head_dim_ * sizeof(float));
  for (std::size_t c = 0; c < head_dim_; c += kPanelWidth) {
    std::memset(values + c * padded_len_ + head.seq_len * kPanelWidth, 0,
                num_padding * kPanelWidth * sizeof(float));
  }
  for (std::size_t r = 0; r < padded_len_; r += kPanelWidth) {
    kernels_.transpose_words(rows_.data() + r * head_dim_, head_dim_, kPanelWidth, head_dim_,
                             keys_.data() + r * head_dim_, kPanelWidth);
  }
}

void Attention::pack_bf16(const HeadInput& head) {
  const std::size_t words = head_dim_ / 2;
  kernels_.round_rows(head.keys, head.stride, head.seq_len, head_dim_,
                      reinterpret_cast<std::uint16_t*>(rows_.data()));
  std::memset(rows_.data() + head.seq_len * words, 0,
              (padded_len_ - head.seq_len) * words * sizeof(std::uint32_t));
  for (std::size_t r = 0; r < padded_len_; r += kPanelWidth) {
    kernels_.transpose_words(rows_.data() + r * words, words, kPanelWidth, words,
                             keys_.data() + r * words, kPanelWidth);
  }
  for (std::size_t c = 0; c < head_dim_; c += kPanelWidth) {
    std::uint32_t* panel = values_.data() + c * padded_len_ / 2;
    std::size_t r = 0;
    for (; r < head.seq_len; r += 2, panel += kPanelWidth) {
      const float* first = head.values + r * head.stride + c;
      const float* second = r + 1 < head.seq_len ? first + head.stride : zeros_.data();
      kernels_.interleave_bf16(first, second, kPanelWidth, panel);
    }
    std::memset(panel, 0, (padded_len_ - r) / 2 * kPanelWidth * sizeof(std::uint32_t));
  }
}

void Attention::attend_f32(const HeadInput& head, const Block& block, float* output,
                           std::size_t output_stride) {
  const auto* keys = reinterpret_cast<const float*>(keys_.data());
  const auto* values = reinterpret_cast<const float*>(values_.data());
  kernels_.gemm_f32({head.queries + block.first_query * head.query_stride,
                     head.query_stride,
                     block.num_queries,
                     keys + block.first_key * head_dim_,
                     block.num_keys / kPanelWidth,
                     head_dim_,
                     {scores_.data(), block.num_keys, Epilogue::kRaw}});
  exponentiate(head, block, scores_.data(), kernels_.exp_rows_f32);
  for (std::size_t c = 0; c < head_dim_; c += kPanelWidth) {
    kernels_.gemm_f32({scores_.data(),
                       block.num_keys,
                       block.num_queries,
                       values + c * padded_len_ + block.first_key * kPanelWidth,
                       1,
                       block.num_keys,
                       {output + c, output_stride, Epilogue::kRaw}});
  }
}

void Attention::attend_bf16(const HeadInput& head, const Block& block, float* output,
                            std::size_t output_stride) {
  auto* rows = reinterpret_cast<std::uint16_t*>(rows_.data());
  const auto* keys = reinterpret_cast<const std::uint16_t*>(keys_.data());
  const auto* values = reinterpret_cast<const std::uint16_t*>(values_.data());
  kernels_.round_rows(head.queries + block.first_query * head.query_stride, head.query_stride,
                      block.num_queries, head_dim_, rows);
  kernels_.gemm_bf16({rows,
                      head_dim_,
                      block.num_queries,
                      keys + block.first_key * head_dim_,
                      block.num_keys / kPanelWidth,
                      head_dim_,
                      {scores_.data(), block.num_keys, Epilogue::kRaw}});
  exponentiate(head, block, shares_.data(), kernels_.exp_rows_bf16);
  for (std::size_t c = 0; c < head_dim_; c += kPanelWidth) {
    kernels_.gemm_bf16({shares_.data(),
                        block.num_keys,
                        block.num_queries,
                        values + c * padded_len_ + block.first_key * kPanelWidth,
                        1,
                        block.num_keys,
                        {output + c, output_stride, Epilogue::kRaw}});
  }
}

}  // namespace twopass
