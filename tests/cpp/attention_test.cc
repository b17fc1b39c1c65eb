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
    const float* bias = biases.empty() ? nullptr : biases.data() + seq_len - 1;
    return {first,   first + head_dim, first + 2 * head_dim,
            stride,  stride,           num_queries,
            seq_len, window,           bias};
  }
  // A key further away is not seen, and every distance has a bias of its own.
  Head seen_through(std::size_t window_) const {
    Head head = *this;
    head.window = window_;
    head.biases = Samples(3).reals(2 * seq_len - 1 + kPanelWidth, 2.0F);
    return head;
  }
  bool is_seen(std::size_t query, std::size_t key) const {
    return (query > key ? query - key : key - query) <= window;
  }
  double bias(std::size_t query, std::size_t key) const {
    return biases.empty() ? 0 : biases[seq_len - 1 + key - query];
  }
  double at(std::size_t row, std::size_t part, std::size_t component) const {
    return rows[row * stride + part * head_dim + component];
  }

  std::size_t seq_len;
  std::size_t head_dim;
  std::size_t stride;
  std::vector<float> rows;
  std::size_t window = HeadInput::kNoWindow;
  std::vector<float> biases;  // by the distance from query to key, from 1 - seq_len on
};

// softmax(q K^T + bias) V of one query.
std::vector<double> naive_row(const Head& head, std::size_t query) {
  std::vector<double> shares(head.seq_len, 0.0), output(head.head_dim, 0.0);
  for (std::size_t key = 0; key < head.seq_len; ++key) {
    for (std::size_t c = 0; c < head.head_dim; ++c) {
      shares[key] += head.at(query, 0, c) * head.at(key, 1, c);
    }
  }
  double largest = -1e300;
  for (std::size_t key = 0; key < head.seq_len; ++key) {
    shares[key] = head.is_seen(query, key) ? shares[key] + head.bias(query, key) : -1e300;
    largest = std::max(largest, shares[key]);
  }
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

void check_head(const Head& head, bool in_bf16, double tolerance) {
  std::vector<std::vector<double>> expected(head.seq_len);
  for (std::size_t query = 0; query < head.seq_len; ++query) {
    if (is_looked_at(query, head.seq_len)) {
      expected[query] = naive_row(head, query);
    }
  }
  for (const KernelTable* kernels : test::all_kernels()) {
    Attention attention(*kernels, in_bf16, kMaxSeqLen, head.head_dim);
    const std::vector<float> output = attended(*kernels, attention, head, head.seq_len);
    double worst = 0;
    for (std::size_t query = 0; query < head.seq_len; ++query) {
      for (std::size_t c = 0; c < expected[query].size(); ++c) {
        worst = std::max(worst, std::fabs(output[query * head.head_dim + c] - expected[query][c]));
      }
    }
    CHECK(worst <= tolerance);
    // The last layer asks for the first token alone, and gets the same bits.
    const std::vector<float> first = attended(*kernels, attention, head, 1);
    CHECK(test::same_bits(first, std::span(output).first(head.head_dim)));
  }
}

// What rounding the operands does is no error of attention's.
Head rounded(Head head) {
  for (float& value : head.rows) {
    value = test::from_bf16(test::rounded_to_bf16(value));
  }
  return head;
}

void check_against_naive(bool in_bf16, double tolerance) {
  for (const std::size_t head_dim : {32, 64}) {
    for (const std::size_t seq_len : kSeqLens) {
      const Head head(seq_len, head_dim);
      check_head(in_bf16 ? rounded(head) : head, in_bf16, tolerance);
    }
  }
  for (const std::size_t head_dim : {96, 128, 256}) {  // larger sums, so less of a softmax
    const Head head(65, head_dim);
    check_head(in_bf16 ? rounded(head) : head, in_bf16, 2 * tolerance);
  }
}

void check_windows(bool in_bf16, double tolerance) {
  for (const std::size_t seq_len : {1, 33, 64, 130, 300}) {
    for (const std::size_t window : {0, 1, 31, 64, 100, 299, 1000}) {
      const Head head = Head(seq_len, 32).seen_through(window);
      check_head(in_bf16 ? rounded(head) : head, in_bf16, tolerance);
    }
  }
}

// Values are below 2; 512 terms in float32 err by some 2^-24 * sqrt(512), scores by less.
TEST(attention_is_softmax_of_qk_times_v) { check_against_naive(false, 2e-5); }

// Shares are rounded to 2^-9 of themselves, values below 2: their mean errs by at most 2^-8.
TEST(attention_in_bf16_errs_by_no_more_than_its_shares_do) { check_against_naive(true, 0x1p-8); }

TEST(a_query_sees_its_window_alone_and_scores_have_a_bias_by_distance) {
  check_windows(false, 2e-5);
  check_windows(true, 0x1p-8);
}

TEST(what_was_computed_before_leaves_no_trace) {
  for (const KernelTable* kernels : test::all_kernels()) {
    for (const bool in_bf16 : {false, true}) {
      Attention fresh(*kernels, in_bf16, kMaxSeqLen, 32), used(*kernels, in_bf16, kMaxSeqLen, 32);
      Head poison(kMaxSeqLen, 32);
      std::fill(poison.rows.begin(), poison.rows.end(), std::numeric_limits<float>::infinity());
      attended(*kernels, used, poison, kMaxSeqLen);
      for (const std::size_t seq_len : {1, 33, 65, 200}) {
        for (const Head& head : {Head(seq_len, 32), Head(seq_len, 32).seen_through(20)}) {
          CHECK(test::same_bits(attended(*kernels, used, head, seq_len),
                                attended(*kernels, fresh, head, seq_len)));
        }
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
