#include <algorithm>
#include <cmath>

#include "check.h"
#include "products.h"

// The softmax without its division.

namespace twopass {
namespace {

using test::kUntouched;
using test::Samples;

struct Size {
  std::size_t width;
  std::size_t stride;
};
constexpr Size kSizes[]{{1, 32}, {31, 32}, {32, 32}, {33, 64}, {33, 96}, {65, 96}, {512, 512}};
constexpr std::size_t kNumRows = 3;

// Rows whose scores span 2, 60 and 400; what lies beyond their width is the largest of all.
std::vector<float> scores_of(const Size& size) {
  Samples samples(1);
  std::vector<float> scores;
  for (const float bound : {1.0F, 32.0F, 256.0F}) {
    const std::vector<float> row = samples.reals(size.width, bound);
    scores.insert(scores.end(), row.begin(), row.end());
    scores.insert(scores.end(), size.stride - size.width, 1e30F);
  }
  return scores;
}

// exp(score - largest) of one row, as far as it has scores.
std::vector<double> expected_row(std::span<const float> scores) {
  const double largest = *std::max_element(scores.begin(), scores.end());
  std::vector<double> row;
  for (const float score : scores) {
    row.push_back(std::exp(score - largest));
  }
  return row;
}

// One row against its definition. The exponent is rounded: by 2^-24 of at most 256 log2(e) = 370
// where fused, by as much again where not, so the relative error is at most 370 * 2^-23 = 4.4e-5 in
// the widest row; and bfloat16 rounds by 2^-9.
void check_row(std::span<const float> scores, std::span<const float> output, float inverse_sum,
               std::size_t width, double rounding) {
  const std::vector<double> expected = expected_row(scores.first(width));
  double sum = 0;
  for (std::size_t c = 0; c < width; ++c) {
    // Results are never below 2^-126.
    CHECK(std::fabs(output[c] - expected[c]) <= expected[c] * (4.5e-5 + rounding) + 1.2e-38);
    sum += expected[c];
  }
  CHECK(std::fabs(inverse_sum * sum - 1) < 1e-4);
  CHECK(std::all_of(output.begin() + static_cast<std::ptrdiff_t>(width), output.end(),
                    [](float x) { return 0 <= x && x < 1.2e-37F; }));
}

TEST(shares_are_exponentials_and_columns_beyond_the_width_vanish) {
  for (const Size& size : kSizes) {
    const std::vector<float> scores = scores_of(size);
    for (const KernelTable* kernels : test::all_kernels()) {
      std::vector<float> input = scores, output(scores.size() + 16, kUntouched);
      std::vector<float> inverse_sums(kNumRows + 1, kUntouched);
      kernels->exp_rows_f32(
          {input.data(), kNumRows, size.width, size.stride, output.data(), inverse_sums.data()});
      for (std::size_t r = 0; r < kNumRows; ++r) {
        const std::size_t first = r * size.stride;
        check_row(std::span(scores).subspan(first, size.stride),
                  std::span(output).subspan(first, size.stride), inverse_sums[r], size.width, 0);
      }
      CHECK(std::all_of(output.end() - 16, output.end(), [](float x) { return x == kUntouched; }));
      CHECK(inverse_sums.back() == kUntouched);
    }
  }
}

TEST(shares_in_bfloat16_are_the_same_rounded) {
  for (const Size& size : kSizes) {
    const std::vector<float> scores = scores_of(size);
    for (const KernelTable* kernels : test::all_kernels()) {
      std::vector<float> input = scores, exact(scores.size()), exact_sums(kNumRows);
      kernels->exp_rows_f32(
          {input.data(), kNumRows, size.width, size.stride, exact.data(), exact_sums.data()});
      input = scores;
      std::vector<std::uint16_t> output(scores.size() + 16, 7);
      std::vector<float> inverse_sums(kNumRows);
      kernels->exp_rows_bf16(
          {input.data(), kNumRows, size.width, size.stride, output.data(), inverse_sums.data()});
      CHECK(test::same_bits(inverse_sums, exact_sums));
      for (std::size_t i = 0; i < exact.size(); ++i) {
        CHECK(output[i] == test::rounded_to_bf16(exact[i]));
      }
      CHECK(std::all_of(output.end() - 16, output.end(), [](auto x) { return x == 7; }));
    }
  }
}

TEST(shares_may_take_the_place_of_their_scores) {
  for (const Size& size : kSizes) {
    for (const KernelTable* kernels : test::all_kernels()) {
      std::vector<float> apart = scores_of(size), in_place = apart, output(apart.size());
      std::vector<float> sums(kNumRows), in_place_sums(kNumRows);
      kernels->exp_rows_f32(
          {apart.data(), kNumRows, size.width, size.stride, output.data(), sums.data()});
      kernels->exp_rows_f32({in_place.data(), kNumRows, size.width, size.stride, in_place.data(),
                             in_place_sums.data()});
      CHECK(test::same_bits(in_place, output) && test::same_bits(in_place_sums, sums));
    }
  }
}

TEST(equal_scores_share_equally_however_large_they_are) {
  for (const float score : {0.0F, -1e4F, 1e4F}) {
    for (const KernelTable* kernels : test::all_kernels()) {
      std::vector<float> scores(32, score);
      float inverse_sum = 0;
      kernels->exp_rows_f32({scores.data(), 1, 8, 32, scores.data(), &inverse_sum});
      for (std::size_t c = 0; c < 8; ++c) {
        // The rounding of 1e4 log2(e) is in the exponent: 2^-11 of it.
        CHECK(std::fabs(scores[c] * inverse_sum - 0.125F) < 1e-7F);
        CHECK(std::fabs(scores[c] - 1) < 1e-3F);
      }
    }
  }
}

// Scores with a bias by the distance from query to key, seen through a window that leaves the keys
// there are on either side.
TEST(a_row_sees_its_window_of_biased_scores_alone) {
  constexpr std::size_t kNumKeys = 70, kStride = 96, kRows = 65;
  Samples samples(2);
  const std::vector<float> biases = samples.reals(kRows + kStride, 8.0F);
  const float* bias = biases.data() + kRows - 1;  // of column 0 in row 0
  for (const std::ptrdiff_t window : {0, 3, 16, 40}) {
    constexpr std::ptrdiff_t kFirst = 5;  // the first row's own column
    std::vector<float> scores = samples.reals(kRows * kStride, 4.0F);
    for (const KernelTable* kernels : test::all_kernels()) {
      std::vector<float> input = scores, output(scores.size(), kUntouched), sums(kRows);
      kernels->exp_rows_f32({input.data(), kRows, kNumKeys, kStride, output.data(), sums.data(),
                             kFirst - window, kFirst + window + 1, bias});
      for (std::size_t r = 0; r < kRows; ++r) {
        const std::ptrdiff_t own = kFirst + static_cast<std::ptrdiff_t>(r);
        const auto first = static_cast<std::size_t>(std::max<std::ptrdiff_t>(own - window, 0));
        const auto last =
            std::min<std::size_t>(static_cast<std::size_t>(own + window) + 1, kNumKeys);
        std::vector<float> seen;
        for (std::size_t c = first; c < last; ++c) {
          const float* shift =
              bias + static_cast<std::ptrdiff_t>(c) - static_cast<std::ptrdiff_t>(r);
          seen.push_back(scores[r * kStride + c] + *shift);
        }
        const std::vector<double> expected = expected_row(seen);
        double sum = 0;
        for (std::size_t c = 0; c < kStride; ++c) {
          const double share = c >= first && c < last ? expected[c - first] : 0;
          CHECK(std::fabs(output[r * kStride + c] - share) <= 4.5e-5 * share + 1.2e-37);
          sum += share;
        }
        CHECK(std::fabs(sums[r] * sum - 1) < 1e-4);
      }
    }
  }
}

}  // namespace
}  // namespace twopass
