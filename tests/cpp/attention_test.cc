#include "ops/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "check.h"
#include "products.h"

namespace twopass {
namespace {

using test::Samples;

constexpr std::size_t kMaxSeqLen = 512;
constexpr std::size_t kSeqLens[]{1, 2, 31, 32, 33, 64, 65, 127, 512};

// Queries, keys and values of one head side by side, as a projection leaves them.
struct Head {
  Head(std::size_t seq_len_, std::size_t head_dim_)
      : seq_len(seq_len_), head_dim(head_dim_), stride(3 * head_dim_ + 8) {
    Samples samples(static_cast<std::uint32_t>(seq_len));
    rows = samples.reals(seq_len * stride, 2.0F);
    for (std::size_t r = 0; r < seq_len; ++r) {
      for (std::size_t c = 0; c < head_dim; ++c) {  // as trained weights do, to scores of some size
        rows[r * stride + c] /= 4;
      }
    }
  }

  HeadInput input(std::size_t num_queries) const {
    const float* first = rows.data();
    return {first, first + head_dim, first + 2 * head_dim, stride, stride, num_queries, seq_len};
  }
  double at(std::size_t row, std::size_t part, std::size_t component) const {
    return rows[row * stride + part * head_dim + component];
  }

  std::size_t seq_len;
  std::size_t head_dim;
  std::size_t stride;
  std::vector<float> rows;
};

// softmax(q K^T) V of one query.
std::vector<double> naive_row(const Head& head, std::size_t query) {
  std::vector<double> shares(head.seq_len, 0.0), output(head.head_dim, 0.0);
  for (std::size_t key = 0; key < head.seq_len; ++key) {
    for (std::size_t c = 0; c < head.head_dim; ++c) {
      shares[key] += head.at(query, 0, c) * head.at(key, 1, c);
    }
  }
  const double largest = *std::max_element(shares.begin(), shares.end());
  double sum = 0;
  for (double& share : shares) {
    share = std::exp(share - largest);
    sum += share;
  }
  for (std::size_t key = 0; key < head.seq_len; ++key) {
    for (std::size_t c = 0; c < head.head_dim; ++c) {
      output[c] += shares[key] / sum * head.at(key, 2, c);
    }
  }
  return output;
}

std::vector<float> attended(const KernelTable& kernels, Attention& attention, const Head& head,
                            std::size_t num_queries) {
  std::vector<float> output(num_queries * head.head_dim);
  kernels.begin();
  attention.attend(head.input(num_queries), output.data(), head.head_dim);
  kernels.end();
  return output;
}

// Every eleventh query, and those at the ends of blocks of 64: the naive way is slow.
bool is_looked_at(std::size_t query, std::size_t num_queries) {
  return query % 11 == 0 || query % 64 == 63 || query + 1 == num_queries;
}

void check_against_naive(bool in_bf16, double tolerance) {
  for (const std::size_t head_dim : {32, 64}) {
    for (const std::size_t seq_len : kSeqLens) {
      Head head(seq_len, head_dim);
      if (in_bf16) {  // what rounding the operands does is no error of attention's
        for (float& value : head.rows) {
          value = test::from_bf16(test::rounded_to_bf16(value));
        }
      }
      std::vector<std::vector<double>> expected(seq_len);
      for (std::size_t query = 0; query < seq_len; ++query) {
        if (is_looked_at(query, seq_len)) {
          expected[query] = naive_row(head, query);
        }
      }
      for (const KernelTable* kernels : test::all_kernels()) {
        Attention attention(*kernels, in_bf16, kMaxSeqLen, head_dim);
        const std::vector<float> output = attended(*kernels, attention, head, seq_len);
        double worst = 0;
        for (std::size_t query = 0; query < seq_len; ++query) {
          for (std::size_t c = 0; c < expected[query].size(); ++c) {
            worst = std::max(worst, std::fabs(output[query * head_dim + c] - expected[query][c]));
          }
        }
        CHECK(worst <= tolerance);
        // The last layer asks for the first token alone, and gets the same bits.
        const std::vector<float> first = attended(*kernels, attention, head, 1);
        CHECK(test::same_bits(first, std::span(output).first(head_dim)));
      }
    }
  }
}

// Values are below 2; 512 terms in float32 err by some 2^-24 * sqrt(512), scores by less.
TEST(attention_is_softmax_of_qk_times_v) { check_against_naive(false, 2e-5); }

// Shares are rounded to 2^-9 of themselves, values below 2: their mean errs by at most 2^-8.
TEST(attention_in_bf16_errs_by_no_more_than_its_shares_do) { check_against_naive(true, 0x1p-8); }

TEST(what_was_computed_before_leaves_no_trace) {
  for (const KernelTable* kernels : test::all_kernels()) {
    for (const bool in_bf16 : {false, true}) {
      Attention fresh(*kernels, in_bf16, kMaxSeqLen, 32), used(*kernels, in_bf16, kMaxSeqLen, 32);
      Head poison(kMaxSeqLen, 32);
      std::fill(poison.rows.begin(), poison.rows.end(), std::numeric_limits<float>::infinity());
      attended(*kernels, used, poison, kMaxSeqLen);
      for (const std::size_t seq_len : {1, 33, 65}) {
        const Head head(seq_len, 32);
        CHECK(test::same_bits(attended(*kernels, used, head, seq_len),
                              attended(*kernels, fresh, head, seq_len)));
      }
    }
  }
}

TEST(rows_go_where_the_output_has_them_and_nothing_beside_is_written) {
  constexpr std::size_t kSeqLen = 65, kHeadDim = 32, kStride = 96;
  const Head head(kSeqLen, kHeadDim);
  for (const KernelTable* kernels : test::all_kernels()) {
    for (const bool in_bf16 : {false, true}) {
      Attention attention(*kernels, in_bf16, kSeqLen, kHeadDim);
      const std::vector<float> expected = attended(*kernels, attention, head, kSeqLen);
      std::vector<float> output(kSeqLen * kStride, test::kUntouched);
      kernels->begin();
      attention.attend(head.input(kSeqLen), output.data() + kHeadDim, kStride);
      kernels->end();
      for (std::size_t i = 0; i < output.size(); ++i) {
        const std::size_t row = i / kStride, column = i % kStride;
        const bool is_inside = column >= kHeadDim && column < 2 * kHeadDim;
        CHECK(output[i] ==
              (is_inside ? expected[row * kHeadDim + column - kHeadDim] : test::kUntouched));
      }
    }
  }
}

TEST(scratch_memory_is_counted) {
  const KernelTable& kernels = *find_kernels(Isa::kPortable);
  // Scores of 64 queries, and keys, values and rows of 512 tokens, in float32.
  CHECK(Attention(kernels, false, 512, 64).num_bytes() >= (64 * 512 + 3 * 512 * 64) * 4);
  CHECK(Attention(kernels, false, 1024, 64).num_bytes() >
        Attention(kernels, false, 512, 64).num_bytes());
}

}  // namespace
}  // namespace twopass
