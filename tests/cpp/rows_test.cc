#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "check.h"
#include "products.h"

// The kernels that take one row at a time, but for exp_rows.

namespace twopass {
namespace {

using test::kUntouched;
using test::Samples;

constexpr std::size_t kWidths[]{32, 64, 96, 384};

// --- quantize_rows -------------------------------------------------------------------------------

struct Quantized {
  std::vector<std::uint8_t> bytes;
  std::vector<float> scales;

  double value(std::size_t row, std::size_t column) const {
    const std::size_t width = bytes.size() / scales.size();
    return static_cast<double>(scales[row]) * (bytes[row * width + column] - 128);
  }
};

Quantized quantized(const KernelTable& kernels, const std::vector<float>& input, std::size_t width,
                    const float* factors = nullptr) {
  Quantized result{std::vector<std::uint8_t>(input.size()),
                   std::vector<float>(input.size() / width)};
  kernels.quantize_rows(input.data(), factors, result.scales.size(), width, result.bytes.data(),
                        result.scales.data());
  return result;
}

TEST(quantised_rows_are_within_half_a_step_and_use_the_whole_range) {
  for (const std::size_t width : kWidths) {
    Samples samples(1);
    std::vector<float> input = samples.reals(5 * width, 8.0F);
    const Quantized expected = quantized(*find_kernels(Isa::kPortable), input, width);
    for (std::size_t r = 0; r < 5; ++r) {
      const std::span<const float> row = std::span(input).subspan(r * width, width);
      const auto first = expected.bytes.begin() + static_cast<std::ptrdiff_t>(r * width);
      const auto last = first + static_cast<std::ptrdiff_t>(width);
      CHECK(*std::min_element(first, last) == 1 || *std::max_element(first, last) == 255);
      for (std::size_t c = 0; c < width; ++c) {
        const double step = expected.scales[r];
        CHECK(std::fabs(expected.value(r, c) - row[c]) <= 0.50001 * step);
      }
    }
    for (const KernelTable* kernels : test::all_kernels()) {
      const Quantized actual = quantized(*kernels, input, width);
      CHECK(actual.bytes == expected.bytes);
      CHECK(test::same_bits(actual.scales, expected.scales));
    }
  }
}

TEST(a_row_of_next_to_nothing_is_quantised_to_zeros_with_scale_one) {
  for (const float tiny : {0.0F, -0.0F, std::numeric_limits<float>::denorm_min(), 1e-36F}) {
    for (const KernelTable* kernels : test::all_kernels()) {
      const Quantized actual = quantized(*kernels, std::vector<float>(64, tiny), 64);
      CHECK(actual.bytes == std::vector<std::uint8_t>(64, 128));
      CHECK(actual.scales == std::vector<float>{1.0F});
    }
  }
}

TEST(a_row_is_quantised_by_its_own_largest_magnitude_however_small_or_large_it_is) {
  for (const float bound : {2e-36F, 1e-20F, 1.0F, 3e38F}) {
    for (const KernelTable* kernels : test::all_kernels()) {
      std::vector<float> input(3 * 32, 5.0F);
      input[32 + 31] = -bound;
      std::fill_n(input.begin() + 32, 31, bound / 2);
      const Quantized actual = quantized(*kernels, input, 32);
      CHECK(actual.bytes[32 + 31] == 1);
      CHECK(actual.bytes[32] == 128 + 64 || actual.bytes[32] == 128 + 63);  // 63.5, or next to it
      CHECK(actual.scales[1] == bound / 127.0F);
    }
  }
}

TEST(halves_between_two_bytes_go_to_the_even_one) {
  std::vector<float> input(32, 0.0F);
  input[0] = 127.0F;  // so that a step is 1
  for (std::size_t c = 1; c < 32; ++c) {
    input[c] = static_cast<float>(c) - 16.5F;
  }
  for (const KernelTable* kernels : test::all_kernels()) {
    const Quantized actual = quantized(*kernels, input, 32);
    for (std::size_t c = 1; c < 32; ++c) {
      CHECK((actual.bytes[c] - 128) % 2 == 0);
      CHECK(std::fabs(actual.value(0, c) - input[c]) == 0.5);
    }
  }
}

TEST(columns_are_multiplied_by_their_factors_before_they_are_quantised) {
  constexpr std::size_t kWidth = 64;
  Samples samples(2);
  const std::vector<float> input = samples.reals(3 * kWidth), factors = samples.reals(kWidth, 4.0F);
  std::vector<float> products = input;
  for (std::size_t i = 0; i < products.size(); ++i) {
    products[i] *= factors[i % kWidth];
  }
  for (const KernelTable* kernels : test::all_kernels()) {
    const Quantized actual = quantized(*kernels, input, kWidth, factors.data());
    const Quantized expected = quantized(*kernels, products, kWidth);
    CHECK(actual.bytes == expected.bytes && test::same_bits(actual.scales, expected.scales));
  }
}

// --- bfloat16 ------------------------------------------------------------------------------------

// Values at and beside the middle between two bfloat16 numbers, of either sign and of all sizes.
std::vector<float> hard_to_round() {
  std::vector<float> values{0.0F, -0.0F, 1.0F, std::numeric_limits<float>::max(),
                            std::numeric_limits<float>::infinity()};
  for (const std::uint32_t upper : {0x3f80U, 0x3f81U, 0xc27fU, 0x0080U, 0x7f7eU, 0x437fU}) {
    for (const std::uint32_t lower : {0x7fffU, 0x8000U, 0x8001U, 0xffffU, 0x0001U}) {
      values.push_back(std::bit_cast<float>(upper << 16 | lower));
    }
  }
  values.resize(64, 0.1F);
  return values;
}

TEST(rows_are_rounded_to_the_nearest_bfloat16_ties_to_even) {
  const std::vector<float> values = hard_to_round();
  std::vector<std::uint16_t> expected;
  for (const float value : values) {
    expected.push_back(test::rounded_to_bf16(value));
  }
  CHECK(test::rounded_to_bf16(std::bit_cast<float>(0x3f808000U)) == 0x3f80);
  CHECK(test::rounded_to_bf16(std::bit_cast<float>(0x3f818000U)) == 0x3f82);
  for (const std::size_t stride : {64, 71}) {
    std::vector<float> input(2 * stride, kUntouched);
    std::copy(values.begin(), values.end(), input.begin());
    std::copy(values.begin(), values.end(), input.begin() + static_cast<std::ptrdiff_t>(stride));
    for (const KernelTable* kernels : test::all_kernels()) {
      std::vector<std::uint16_t> output(128 + 16, 7);
      kernels->round_rows(input.data(), stride, 2, 64, output.data());
      CHECK(std::equal(expected.begin(), expected.end(), output.begin()));
      CHECK(std::equal(expected.begin(), expected.end(), output.begin() + 64));
      CHECK(std::all_of(output.begin() + 128, output.end(), [](auto x) { return x == 7; }));
    }
  }
}

TEST(interleaving_puts_the_first_row_in_the_lower_halves) {
  const std::vector<float> first = hard_to_round();
  const std::vector<float> second(first.rbegin(), first.rend());
  for (const std::size_t width : {32, 64}) {
    for (const KernelTable* kernels : test::all_kernels()) {
      std::vector<std::uint32_t> words(width + 16, 7);
      kernels->interleave_bf16(first.data(), second.data(), width, words.data());
      for (std::size_t c = 0; c < width; ++c) {
        CHECK((words[c] & 0xffffU) == test::rounded_to_bf16(first[c]));
        CHECK(words[c] >> 16 == test::rounded_to_bf16(second[c]));
      }
      CHECK(std::all_of(words.begin() + static_cast<std::ptrdiff_t>(width), words.end(),
                        [](auto x) { return x == 7; }));
    }
  }
}

// --- layer_norm ----------------------------------------------------------------------------------

TEST(layer_norm_gives_mean_and_variance_before_scale_and_shift) {
  for (const std::size_t width : kWidths) {
    Samples samples(3);
    std::vector<float> rows = samples.reals(4 * width, 4.0F);
    for (std::size_t c = 0; c < width; ++c) {
      rows[width + c] += 1024;          // a mean far from 0
      rows[2 * width + c] *= 0x1p-20F;  // a variance below epsilon
    }
    std::fill_n(rows.begin() + static_cast<std::ptrdiff_t>(3 * width), width, 2.5F);  // none at all
    const std::vector<float> scale = samples.reals(width, 2.0F), shift = samples.reals(width);
    constexpr double kEpsilon = 1e-5;
    for (const KernelTable* kernels : test::all_kernels()) {
      std::vector<float> actual = rows;
      actual.resize(5 * width, kUntouched);
      kernels->layer_norm(actual.data(), 4, width, scale.data(), shift.data(),
                          static_cast<float>(kEpsilon), actual.data());
      std::vector<float> apart(4 * width);
      kernels->layer_norm(rows.data(), 4, width, scale.data(), shift.data(),
                          static_cast<float>(kEpsilon), apart.data());
      CHECK(test::same_bits(apart, std::span(actual).first(4 * width)));
      for (std::size_t r = 0; r < 4; ++r) {
        const std::span<const float> row = std::span(rows).subspan(r * width, width);
        const double mean =
            std::accumulate(row.begin(), row.end(), 0.0) / static_cast<double>(width);
        double variance = 0;
        for (const float x : row) {
          variance += (x - mean) * (x - mean) / static_cast<double>(width);
        }
        // The mean of numbers near 1,024 is only known to their rounding, 2^-13 a term.
        const double tolerance = r == 1 ? 2e-3 : 1e-5;
        for (std::size_t c = 0; c < width; ++c) {
          const double expected =
              (row[c] - mean) / std::sqrt(variance + kEpsilon) * scale[c] + shift[c];
          CHECK(std::fabs(actual[r * width + c] - expected) <= tolerance);
        }
      }
      CHECK(std::all_of(actual.begin() + static_cast<std::ptrdiff_t>(4 * width), actual.end(),
                        [](float x) { return x == kUntouched; }));
    }
  }
}

// --- what moves and multiplies -------------------------------------------------------------------

TEST(rows_are_scaled_each_by_its_factor_and_their_neighbours_are_kept) {
  constexpr std::size_t kStride = 71;
  Samples samples(4);
  const std::vector<float> rows = samples.reals(3 * kStride), factors = samples.reals(3, 4.0F);
  for (const std::size_t width : {32, 64}) {
    for (const KernelTable* kernels : test::all_kernels()) {
      std::vector<float> actual = rows;
      kernels->scale_rows(actual.data(), kStride, 3, width, factors.data());
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const bool is_inside = i % kStride < width;
        CHECK(actual[i] == (is_inside ? rows[i] * factors[i / kStride] : rows[i]));
      }
    }
  }
}

TEST(pairs_of_components_turn_by_the_angle_of_their_row) {
  constexpr std::size_t kStride = 135;
  Samples samples(5);
  for (const std::size_t half : {16, 32, 48, 64}) {
    const std::vector<float> rows = samples.reals(3 * kStride),
                             angles = samples.reals(3 * half, 4.0F);
    std::vector<float> turns;
    for (std::size_t r = 0; r < 3; ++r) {
      for (std::size_t i = 0; i < half; ++i) {
        turns.push_back(std::cos(angles[r * half + i]));
      }
      for (std::size_t i = 0; i < half; ++i) {
        turns.push_back(std::sin(angles[r * half + i]));
      }
    }
    for (const KernelTable* kernels : test::all_kernels()) {
      std::vector<float> actual = rows;
      kernels->rotate_rows(actual.data(), kStride, 3, half, turns.data());
      for (std::size_t r = 0; r < 3; ++r) {
        for (std::size_t c = 0; c < kStride; ++c) {
          const float* row = rows.data() + r * kStride;
          const double angle = angles[r * half + c % half];
          const double expected =
              c < half       ? row[c] * std::cos(angle) - row[c + half] * std::sin(angle)
              : c < 2 * half ? row[c] * std::cos(angle) + row[c - half] * std::sin(angle)
                             : row[c];
          CHECK(std::fabs(actual[r * kStride + c] - expected) <= 3e-7);
        }
      }
    }
  }
}

TEST(transposing_moves_every_word_and_writes_none_beside_them) {
  for (const std::size_t num_rows : {16, 32, 48}) {
    for (const std::size_t num_columns : {16, 32, 64}) {
      const std::size_t input_stride = num_columns + 5, output_stride = num_rows + 3;
      std::vector<std::uint32_t> input(num_rows * input_stride);
      std::iota(input.begin(), input.end(), 0x7f800001U);  // bits of NaNs, which must not change
      for (const KernelTable* kernels : test::all_kernels()) {
        std::vector<std::uint32_t> output(num_columns * output_stride, 7);
        kernels->transpose_words(input.data(), input_stride, num_rows, num_columns, output.data(),
                                 output_stride);
        for (std::size_t i = 0; i < output.size(); ++i) {
          const std::size_t r = i % output_stride, c = i / output_stride;
          CHECK(output[i] == (r < num_rows ? input[r * input_stride + c] : 7));
        }
      }
    }
  }
}

}  // namespace
}  // namespace twopass
