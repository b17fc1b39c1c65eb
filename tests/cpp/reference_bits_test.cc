#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include "check.h"
#include "cpu/table_of.h"
#include "cpu/vec_portable.h"
#include "ops/activation.h"
#include "products.h"

// Kernels against the same templates over eight plain numbers, bit for bit. The reference runs
// everywhere, so that what equals it on x86-64 and on aarch64 is equal on both.

namespace twopass {
namespace {

using test::Bf16;
using test::F32;
using test::Int8;
using test::Samples;

// Eight lanes with what processors do and Portable does not: a fused product is rounded once, and
// lanes are summed by halves.
struct FusedLanes : Portable {
  static F fma(F a, F b, F c) {
    return each([=](std::size_t i) { return std::fma(a.lane[i], b.lane[i], c.lane[i]); });
  }
  static float reduce_add(F x) {
    for (std::size_t half = kWidth / 2; half > 0; half /= 2) {
      for (std::size_t i = 0; i < half; ++i) {
        x.lane[i] += x.lane[i + half];
      }
    }
    return x.lane[0];
  }
  static F dot_bf16(F sum, I row, I column) {
    const auto part = [](I words, std::uint32_t shift) {
      return each([=](std::size_t i) {
        return std::bit_cast<float>(words.lane[i] << shift & 0xffff0000U);
      });
    };
    return fma(part(row, 0), part(column, 0), fma(part(row, 16), part(column, 16), sum));
  }
};

const KernelTable& reference() {
  static constexpr KernelTable table = table_of<FusedLanes>(Isa::kPortable);
  return table;
}

// Which kernels sum a row in eight lanes: the others round its sum differently.
bool has_eight_lanes(const KernelTable& kernels) {
  switch (kernels.isa) {
    case Isa::kAvx2:
    case Isa::kNeon:
    case Isa::kNeonDotprod:
    case Isa::kNeonI8mm:
      return true;
    default:
      return false;
  }
}

// All but portable ones, which do not fuse.
std::vector<const KernelTable*> fused_kernels() {
  std::vector<const KernelTable*> tables = test::all_kernels();
  tables.erase(tables.begin());
  return tables;
}

std::vector<const KernelTable*> eight_lane_kernels() {
  std::vector<const KernelTable*> tables = fused_kernels();
  std::erase_if(tables, [](const KernelTable* kernels) { return !has_eight_lanes(*kernels); });
  return tables;
}

template <typename T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

constexpr Epilogue kEpilogues[]{Epilogue::kStore,     Epilogue::kAdd,      Epilogue::kGelu,
                                Epilogue::kRelu,      Epilogue::kSilu,     Epilogue::kGatedGelu,
                                Epilogue::kGatedRelu, Epilogue::kGatedSilu};

std::vector<double> numbers(Samples& samples, std::size_t size, bool are_integers) {
  std::vector<double> values(size);
  for (double& value : values) {
    value = are_integers ? samples.integer(-127, 127) : 2 * samples.real();
  }
  return values;
}

// Every table whose products are computed as the reference's are, at sizes around those of tiles.
template <typename Product>
void check_product(bool (*is_comparable)(const KernelTable&)) {
  constexpr std::size_t kDepth = 192, kWidth = 3 * kPanelWidth;
  Samples samples(1);
  const bool are_integers = std::is_same_v<Product, Int8>;
  const auto panels = Product::columns(numbers(samples, kWidth * kDepth, are_integers), kDepth);
  const std::vector<float> bias = samples.reals(kWidth, 4.0F);
  for (const std::size_t num_rows : {1, 2, 3, 4, 5, 6, 7, 13, 33}) {
    const auto rows = Product::rows(numbers(samples, num_rows * kDepth, are_integers), kDepth);
    for (const Epilogue epilogue : kEpilogues) {
      const auto product = [&](const KernelTable& kernels) {
        test::Target target(num_rows, kWidth, 3.0F);
        kernels.begin();
        Product::run(kernels, rows, panels,
                     {target.values.data(), target.stride, epilogue, bias.data(),
                      &gelu_coefficients(Activation::kGelu)});
        kernels.end();
        return target.block();
      };
      const std::vector<float> expected = product(reference());
      for (const KernelTable* kernels : fused_kernels()) {
        if (is_comparable(*kernels)) {
          CHECK(same(product(*kernels), expected));
        }
      }
    }
  }
}

bool is_any(const KernelTable&) { return true; }

TEST(f32_products_have_the_reference_s_bits_on_every_processor) { check_product<F32>(is_any); }

TEST(int8_products_have_the_reference_s_bits_on_every_processor) { check_product<Int8>(is_any); }

// Instructions for bfloat16 round in ways of their own.
TEST(bf16_products_without_instructions_of_their_own_have_the_reference_s_bits) {
  check_product<Bf16>([](const KernelTable& kernels) { return !kernels.has_fast_bf16; });
}

TEST(quantised_rows_have_the_reference_s_bits_on_every_processor) {
  constexpr std::size_t kWidth = 384, kRows = 5;
  Samples samples(2);
  const std::vector<float> input = samples.reals(kRows * kWidth, 8.0F);
  const std::vector<float> factors = samples.reals(kWidth, 2.0F);
  for (const float* given : {static_cast<const float*>(nullptr), factors.data()}) {
    std::vector<std::uint8_t> bytes(input.size()), expected(input.size());
    std::vector<float> scales(kRows), expected_scales(kRows);
    reference().quantize_rows(input.data(), given, kRows, kWidth, expected.data(),
                              expected_scales.data());
    for (const KernelTable* kernels : fused_kernels()) {
      kernels->quantize_rows(input.data(), given, kRows, kWidth, bytes.data(), scales.data());
      CHECK(bytes == expected && same(scales, expected_scales));
    }
  }
}

TEST(rotated_rows_have_the_reference_s_bits_on_every_processor) {
  constexpr std::size_t kHalf = 32, kRows = 7;
  Samples samples(3);
  const std::vector<float> rows = samples.reals(kRows * 2 * kHalf, 4.0F);
  const std::vector<float> turns = samples.reals(kRows * 2 * kHalf);
  std::vector<float> expected = rows;
  reference().rotate_rows(expected.data(), 2 * kHalf, kRows, kHalf, turns.data());
  for (const KernelTable* kernels : fused_kernels()) {
    std::vector<float> actual = rows;
    kernels->rotate_rows(actual.data(), 2 * kHalf, kRows, kHalf, turns.data());
    CHECK(same(actual, expected));
  }
}

TEST(layer_norm_has_the_reference_s_bits_in_eight_lanes) {
  constexpr std::size_t kWidth = 384, kRows = 9;
  Samples samples(4);
  std::vector<float> rows = samples.reals(kRows * kWidth, 4.0F);
  for (std::size_t i = 0; i < kWidth; ++i) {
    rows[i] += 100;
  }
  const std::vector<float> scale = samples.reals(kWidth, 2.0F), shift = samples.reals(kWidth);
  const auto normalised = [&](const KernelTable& kernels) {
    std::vector<float> output(rows.size());
    kernels.layer_norm(rows.data(), kRows, kWidth, scale.data(), shift.data(), 1e-12F,
                       output.data());
    return output;
  };
  for (const KernelTable* kernels : eight_lane_kernels()) {
    CHECK(same(normalised(*kernels), normalised(reference())));
  }
}

// Both outputs, with windows and biases, of scores that span much or little.
TEST(shares_have_the_reference_s_bits_in_eight_lanes) {
  constexpr std::size_t kKeys = 70, kStride = 96, kRows = 65;
  Samples samples(5);
  const std::vector<float> biases = samples.reals(kRows + kStride, 8.0F);
  for (const float bound : {1.0F, 16.0F, 256.0F}) {
    const std::vector<float> scores = samples.reals(kRows * kStride, bound);
    for (const std::ptrdiff_t window : {std::ptrdiff_t{3}, std::ptrdiff_t{40}}) {
      const auto shares = [&](auto exp_rows, auto number) {
        std::vector<float> input = scores, sums(kRows);
        std::vector<decltype(number)> output(scores.size());
        exp_rows({input.data(), kRows, kKeys, kStride, output.data(), sums.data(), 5 - window,
                  6 + window, biases.data() + kRows - 1});
        return std::pair(std::move(output), std::move(sums));
      };
      for (const KernelTable* kernels : eight_lane_kernels()) {
        const auto actual = shares(kernels->exp_rows_f32, 0.0F);
        const auto expected = shares(reference().exp_rows_f32, 0.0F);
        CHECK(same(actual.first, expected.first) && same(actual.second, expected.second));
        const auto halves = shares(kernels->exp_rows_bf16, std::uint16_t{0});
        const auto expected_halves = shares(reference().exp_rows_bf16, std::uint16_t{0});
        CHECK(same(halves.first, expected_halves.first));
        CHECK(same(halves.second, expected_halves.second));
      }
    }
  }
}

// So that a run tells what it has shown, and of which kernels.
TEST(the_kernels_that_were_compared) {
  std::printf("  compared with the reference:");
  for (const KernelTable* kernels : fused_kernels()) {
    std::printf(" %s", std::string(name_of(kernels->isa)).c_str());
  }
  std::printf("\n");
}

}  // namespace
}  // namespace twopass
