#include "ops/linear.h"

#include <algorithm>
#include <cmath>

#include "check.h"
#include "products.h"

namespace twopass {
namespace {

using test::Samples;

constexpr std::size_t kDepth = 128, kWidth = 96, kNumRows = 67;
constexpr Precision kPrecisions[]{Precision::kF32, Precision::kBf16, Precision::kInt8};

// A layer's weights and what is put in; its columns are alike or, as after LayerNorm, far from it.
struct Layer {
  explicit Layer(bool is_uneven = false) {
    Samples samples(1);
    weight = samples.reals(kWidth * kDepth);
    bias = samples.reals(kWidth);
    input = samples.reals(kNumRows * kDepth);
    range.assign(kDepth, 1.0F);
    for (std::size_t k = 0; is_uneven && k < kDepth; k += 16) {  // few are large, their weights not
      range[k] = 64.0F;
      for (std::size_t r = 0; r < kNumRows; ++r) {
        input[r * kDepth + k] *= 64.0F;
      }
      for (std::size_t c = 0; c < kWidth; ++c) {
        weight[c * kDepth + k] /= 64.0F;
      }
    }
  }

  std::vector<double> product() const {
    std::vector<double> sums =
        test::naive_product({input.begin(), input.end()}, {weight.begin(), weight.end()}, kDepth);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      sums[i] += bias[i % kWidth];
    }
    return sums;
  }

  std::vector<float> weight, bias, input, range;
};

std::vector<float> multiplied(const KernelTable& kernels, Precision precision, const Linear& linear,
                              const std::vector<float>& input) {
  EncodedRows rows(precision, kNumRows, kDepth);
  rows.encode(kernels, linear, input.data(), kNumRows, 0);
  std::vector<float> output(kNumRows * kWidth);
  kernels.begin();
  linear.multiply(kernels, rows, 0, kNumRows, 0, linear.num_panels(), {output.data(), kWidth});
  kernels.end();
  return output;
}

double worst_error(const std::vector<float>& actual, const std::vector<double>& expected) {
  double worst = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    worst = std::max(worst, std::fabs(actual[i] - expected[i]));
  }
  return worst;
}

double root_mean_square_error(const std::vector<float>& actual,
                              const std::vector<double>& expected) {
  double squares = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    squares += (actual[i] - expected[i]) * (actual[i] - expected[i]);
  }
  return std::sqrt(squares / static_cast<double>(actual.size()));
}

// Factors are in [-1, 1] and there are 128 products.
//   f32   rounding of sums below 128: 128 * 2^-24 * 128, at the very worst
//   bf16  each factor errs by 2^-9 of itself: 2 * 128 * 2^-9, at the very worst
//   int8  each factor errs by half a step, 1/254: 128 * (2/254 + 1/254^2), at the very worst
double tolerance_of(Precision precision) {
  switch (precision) {
    case Precision::kF32:
      return 1e-3;
    case Precision::kBf16:
      return 0.5;
    case Precision::kInt8:
      return 1.01;
  }
  return 0;
}

TEST(a_linear_layer_is_x_times_w_transposed_plus_b) {
  const Layer layer;
  const std::vector<double> expected = layer.product();
  for (const KernelTable* kernels : test::all_kernels()) {
    for (const Precision precision : kPrecisions) {
      const Linear linear(*kernels, precision, layer.weight, layer.bias);
      CHECK(linear.num_panels() == kWidth / kPanelWidth);
      const std::vector<float> actual = multiplied(*kernels, precision, linear, layer.input);
      CHECK(worst_error(actual, expected) <= tolerance_of(precision));
      // Errors of either sign cancel: they are sqrt(128) times a factor's, not 128 times.
      CHECK(root_mean_square_error(actual, expected) <= tolerance_of(precision) / 8);
    }
  }
}

TEST(balancing_changes_no_product_but_for_rounding) {
  const Layer layer;
  const std::vector<double> expected = layer.product();
  std::vector<float> range = layer.range;
  for (std::size_t k = 0; k < kDepth; ++k) {
    range[k] = k % 4 == 0 ? 2.0F : 1.0F;
  }
  for (const KernelTable* kernels : test::all_kernels()) {
    for (const Precision precision : kPrecisions) {
      const Linear linear = Linear::balanced(*kernels, precision, layer.weight, layer.bias, range);
      const std::vector<float> actual = multiplied(*kernels, precision, linear, layer.input);
      CHECK(worst_error(actual, expected) <= 2 * tolerance_of(precision));
    }
  }
}

TEST(balancing_keeps_small_columns_of_inputs_from_drowning_among_large_ones) {
  const Layer layer(true);
  const std::vector<double> expected = layer.product();
  for (const KernelTable* kernels : test::all_kernels()) {
    const Linear plain(*kernels, Precision::kInt8, layer.weight, layer.bias);
    const Linear balanced =
        Linear::balanced(*kernels, Precision::kInt8, layer.weight, layer.bias, layer.range);
    const auto error = [&](const Linear& linear) {
      return root_mean_square_error(multiplied(*kernels, Precision::kInt8, linear, layer.input),
                                    expected);
    };
    CHECK(error(balanced) < error(plain) / 4);
  }
}

TEST(columns_of_zeros_are_balanced_without_dividing_by_them) {
  Layer layer;
  for (std::size_t c = 0; c < kWidth; ++c) {
    layer.weight[c * kDepth + 3] = 0;  // of no use
    layer.weight[5 * kDepth + c] = 0;  // an output of its bias alone, but for the last weights
  }
  layer.range[7] = 0;  // never different from 0
  for (std::size_t r = 0; r < kNumRows; ++r) {
    layer.input[r * kDepth + 7] = 0;
  }
  const std::vector<double> expected = layer.product();
  for (const KernelTable* kernels : test::all_kernels()) {
    const Linear linear =
        Linear::balanced(*kernels, Precision::kInt8, layer.weight, layer.bias, layer.range);
    const std::vector<float> actual = multiplied(*kernels, Precision::kInt8, linear, layer.input);
    CHECK(worst_error(actual, expected) <= 2 * tolerance_of(Precision::kInt8));
  }
}

TEST(any_rows_and_panels_can_be_asked_for_and_are_the_same_bit_for_bit) {
  const Layer layer;
  for (const KernelTable* kernels : test::all_kernels()) {
    for (const Precision precision : kPrecisions) {
      const Linear linear =
          Linear::balanced(*kernels, precision, layer.weight, layer.bias, layer.range);
      const std::vector<float> all = multiplied(*kernels, precision, linear, layer.input);
      EncodedRows rows(precision, kNumRows, kDepth);
      rows.encode(*kernels, linear, layer.input.data() + 40 * kDepth, kNumRows - 40, 40);
      rows.encode(*kernels, linear, layer.input.data(), 40, 0);  // in two goes
      constexpr std::size_t kFirst = 2 * kRowTile, kRows = kNumRows - kFirst;
      std::vector<float> part(kRows * kPanelWidth);
      kernels->begin();
      linear.multiply(*kernels, rows, kFirst, kRows, 1, 2, {part.data(), kPanelWidth});
      kernels->end();
      for (std::size_t r = 0; r < kRows; ++r) {
        CHECK(test::same_bits(
            std::span(part).subspan(r * kPanelWidth, kPanelWidth),
            std::span(all).subspan((kFirst + r) * kWidth + kPanelWidth, kPanelWidth)));
      }
    }
  }
}

TEST(int8_and_f32_rows_of_a_layer_are_as_large_as_they_say) {
  CHECK(EncodedRows(Precision::kF32, 33, 64).num_bytes() == 64 * 64 * 4);
  CHECK(EncodedRows(Precision::kBf16, 33, 64).num_bytes() == 64 * 64 * 2);
  CHECK(EncodedRows(Precision::kInt8, 33, 64).num_bytes() == 64 * 64 + 64 * 4);
}

TEST(weights_are_rounded_to_bfloat16_ties_to_even) {
  CHECK(to_bf16(1.0F) == 0x3f80);
  CHECK(to_bf16(std::bit_cast<float>(0x3f808000U)) == 0x3f80);
  CHECK(to_bf16(std::bit_cast<float>(0x3f818000U)) == 0x3f82);
  CHECK(to_bf16(std::bit_cast<float>(0x3f808001U)) == 0x3f81);
}

}  // namespace
}  // namespace twopass
