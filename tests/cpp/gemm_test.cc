#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "check.h"
#include "ops/activation.h"
#include "products.h"

// Products of each kernel table. Most are of integers so small that every partial sum is exact in
// float32, whatever the order: then all tables must give exactly what one works out by hand.

namespace twopass {
namespace {

using test::Bf16;
using test::F32;
using test::Int8;
using test::Rows;
using test::Samples;
using test::Target;

// Around the row counts of each table's tiles: 1, 2, 12, 16, 32.
constexpr std::size_t kRowCounts[]{1, 2, 11, 12, 13, 15, 16, 17, 31, 32, 33, 63, 64, 65};
constexpr std::size_t kPanelCounts[]{1, 3};
constexpr float kInitial = 3.0F;  // what kAdd adds to

std::vector<double> integers(Samples& samples, std::size_t size, int bound) {
  std::vector<double> values(size);
  for (double& value : values) {
    value = samples.integer(-bound, bound);
  }
  return values;
}

double activated(Epilogue epilogue, double x) {
  switch (epilogue) {
    case Epilogue::kGelu:
    case Epilogue::kGatedGelu:
      return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0)));
    case Epilogue::kRelu:
    case Epilogue::kGatedRelu:
      return std::max(x, 0.0);
    case Epilogue::kSilu:
    case Epilogue::kGatedSilu:
      return x / (1 + std::exp(-x));
    default:
      return x;
  }
}

bool is_near(float actual, double expected, double size) {
  return std::fabs(actual - expected) <= 5e-6 * (1 + std::fabs(size));
}

bool is_expected(Epilogue epilogue, float actual, double sum, double bias) {
  switch (epilogue) {
    case Epilogue::kRaw:
      return actual == sum;
    case Epilogue::kStore:
      return actual == sum + bias;
    case Epilogue::kAdd:
      return actual == sum + bias + kInitial;
    default:
      return is_near(actual, activated(epilogue, sum + bias), 0.04 * (sum + bias));
  }
}

// One product at one size with one epilogue: every value, and nothing beside them.
template <typename Product>
bool is_right(const KernelTable& kernels, const Rows<typename Product::RowElement>& rows,
              const std::vector<typename Product::Element>& panels, const std::vector<double>& sums,
              Epilogue epilogue) {
  const std::size_t width = panels.size() / rows.depth;
  std::vector<float> bias(width);
  for (std::size_t c = 0; c < width; ++c) {
    bias[c] = static_cast<float>(c % 5) - 2;
  }
  Target target(rows.num_rows, width, kInitial);
  Product::run(
      kernels, rows, panels,
      {target.values.data(), target.stride, epilogue,
       epilogue == Epilogue::kRaw ? nullptr : bias.data(), &gelu_coefficients(Activation::kGelu)});
  bool holds = target.is_untouched_around();
  for (std::size_t r = 0; r < rows.num_rows; ++r) {
    const auto value = [&](std::size_t c) {
      return sums[r * width + c] * Product::kScale + bias[c];
    };
    for (std::size_t c = 0; c < width; ++c) {
      if (!is_gated(epilogue)) {
        holds = holds && is_expected(epilogue, target.at(r, c), value(c) - bias[c], bias[c]);
      } else if (c >= width / 2) {
        holds = holds && target.at(r, c) == kInitial;
      } else {  // 16 gates, then the 16 that they let through
        const std::size_t gate = c / 16 * 32 + c % 16;
        const double passed = value(gate + 16);
        holds = holds && is_near(target.at(r, c), activated(epilogue, value(gate)) * passed,
                                 passed * (1 + 0.04 * std::fabs(value(gate))));
      }
    }
  }
  return holds;
}

template <typename Product>
void check_all_sizes(const char* name, std::span<const Epilogue> epilogues) {
  Samples samples(1);
  for (const std::size_t depth : Product::kDepths) {
    for (const std::size_t num_panels : kPanelCounts) {
      const std::vector<double> columns =
          integers(samples, num_panels * kPanelWidth * depth, Product::kBound);
      const auto panels = Product::columns(columns, depth);
      for (const std::size_t num_rows : kRowCounts) {
        const std::vector<double> values = integers(samples, num_rows * depth, Product::kBound);
        const auto rows = Product::rows(values, depth);
        const std::vector<double> sums = test::naive_product(values, columns, depth);
        for (const KernelTable* kernels : test::all_kernels()) {
          for (const Epilogue epilogue : epilogues) {
            kernels->begin();
            const bool holds = is_right<Product>(*kernels, rows, panels, sums, epilogue);
            kernels->end();
            if (!holds) {
              std::fprintf(stderr, "%s %s: %zu rows, %zu panels, depth %zu, epilogue %d\n", name,
                           std::string(name_of(kernels->isa)).c_str(), num_rows, num_panels, depth,
                           static_cast<int>(epilogue));
            }
            CHECK(holds);
          }
        }
      }
    }
  }
}

constexpr Epilogue kAllEpilogues[]{
    Epilogue::kRaw,       Epilogue::kStore,     Epilogue::kAdd,
    Epilogue::kGelu,      Epilogue::kRelu,      Epilogue::kSilu,
    Epilogue::kGatedGelu, Epilogue::kGatedRelu, Epilogue::kGatedSilu};

TEST(f32_products_of_integers_are_exact_and_nothing_is_written_beside_them) {
  check_all_sizes<F32>("f32", kAllEpilogues);
}

TEST(bf16_products_of_integers_are_exact_and_nothing_is_written_beside_them) {
  check_all_sizes<Bf16>("bf16", kAllEpilogues);
}

TEST(int8_products_are_exact_and_nothing_is_written_beside_them) {
  check_all_sizes<Int8>("int8", std::span(kAllEpilogues).subspan(1));  // kRaw is of floats alone
}

// 255 * 127 * 2 leaves 16 bits, and 255 * 127 * 4096 comes close to nothing that int32 lacks. Rows
// and columns keep their sign for four steps, so that sums are multiples of 4 * 127^2 and, up to
// 127^2 * 4096 < 2^24 * 4, exact in float32.
TEST(int8_sums_of_extremes_do_not_saturate_at_the_largest_depth) {
  constexpr std::size_t kDepth = 4096, kWidth = 2 * kPanelWidth, kNumRows = 17;
  Samples samples(2);
  const auto extremes = [&](std::size_t num_vectors) {
    std::vector<double> values;
    for (std::size_t i = 0; i < num_vectors * kDepth; ++i) {
      const bool is_constant = i < 2 * kDepth;  // the first two: all 127, all -127
      const bool is_new = i % 4 == 0 && !is_constant;
      values.push_back(is_constant ? (i < kDepth ? 127 : -127)
                       : is_new    ? 127 * (2 * samples.integer(0, 1) - 1)
                                   : values.back());
    }
    return values;
  };
  const std::vector<double> values = extremes(kNumRows), columns = extremes(kWidth);
  const std::vector<double> sums = test::naive_product(values, columns, kDepth);
  const std::vector<float> ones(kNumRows, 1.0F), bias(kWidth, 0.0F);
  for (const KernelTable* kernels : test::all_kernels()) {
    Target target(kNumRows, kWidth, kInitial);
    kernels->begin();
    Int8::run_scaled(*kernels, Int8::rows(values, kDepth), Int8::columns(columns, kDepth), ones,
                     1.0F, {target.values.data(), target.stride, Epilogue::kStore, bias.data()});
    kernels->end();
    CHECK(target.block() == std::vector<float>(sums.begin(), sums.end()));
  }
}

// Summing n products in any order errs by at most n * 2^-24 of the sum of their magnitudes; twice
// that, as a fused product is not rounded on its own but a separate one is (Higham 2002, eq. 3.5).
template <typename Product>
void check_reals(const KernelTable& kernels) {
  constexpr std::size_t kDepth = 384, kNumRows = 33, kWidth = kPanelWidth;
  Samples samples(3);
  std::vector<double> values, columns;
  for (std::size_t i = 0; i < kNumRows * kDepth; ++i) {
    values.push_back(test::from_bf16(test::rounded_to_bf16(samples.real())));
  }
  for (std::size_t i = 0; i < kWidth * kDepth; ++i) {
    columns.push_back(test::from_bf16(test::rounded_to_bf16(samples.real())));
  }
  const std::vector<double> sums = test::naive_product(values, columns, kDepth);
  const auto magnitudes = [](std::vector<double> numbers) {
    for (double& number : numbers) {
      number = std::fabs(number);
    }
    return numbers;
  };
  const std::vector<double> sizes =
      test::naive_product(magnitudes(values), magnitudes(columns), kDepth);
  Target target(kNumRows, kWidth, 0);
  kernels.begin();
  Product::run(kernels, Product::rows(values, kDepth), Product::columns(columns, kDepth),
               {target.values.data(), target.stride, Epilogue::kRaw});
  kernels.end();
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const double error = std::fabs(target.at(i / kWidth, i % kWidth) - sums[i]);
    CHECK(error <= 2.0 * kDepth * std::ldexp(sizes[i], -24));
  }
}

TEST(float_products_err_no_more_than_rounding_does) {
  for (const KernelTable* kernels : test::all_kernels()) {
    check_reals<F32>(*kernels);
    check_reals<Bf16>(*kernels);
  }
}

// The promise that a score does not depend on its batch mates starts here.
template <typename Product>
void check_independence(const KernelTable& kernels) {
  constexpr std::size_t kDepth = 192, kNumRows = 65, kNumPanels = 3;
  constexpr std::size_t kWidth = kNumPanels * kPanelWidth;
  Samples samples(4);
  std::vector<double> values, columns;
  for (std::size_t i = 0; i < kNumRows * kDepth; ++i) {
    values.push_back(Product::kScale == 1 ? samples.real() : samples.integer(-127, 127));
  }
  for (std::size_t i = 0; i < kWidth * kDepth; ++i) {
    columns.push_back(Product::kScale == 1 ? samples.real() : samples.integer(-127, 127));
  }
  const std::vector<float> bias = samples.reals(kWidth);
  const auto product = [&](std::size_t first, std::size_t num_rows, std::size_t first_column,
                           std::size_t width) {
    const auto row = values.begin() + static_cast<std::ptrdiff_t>(first * kDepth);
    const auto column = columns.begin() + static_cast<std::ptrdiff_t>(first_column * kDepth);
    Target target(num_rows, width, 0);
    kernels.begin();
    Product::run(
        kernels, Product::rows({row, row + static_cast<std::ptrdiff_t>(num_rows * kDepth)}, kDepth),
        Product::columns({column, column + static_cast<std::ptrdiff_t>(width * kDepth)}, kDepth),
        {target.values.data(), target.stride, Epilogue::kGelu, bias.data() + first_column,
         &gelu_coefficients(Activation::kGelu)});
    kernels.end();
    return target.block();
  };
  const std::vector<float> all = product(0, kNumRows, 0, kWidth);
  for (std::size_t r = 0; r < kNumRows; ++r) {
    const std::span<const float> expected = std::span(all).subspan(r * kWidth, kWidth);
    CHECK(test::same_bits(product(r, 1, 0, kWidth), expected));
    const std::size_t column = r % kNumPanels * kPanelWidth;
    const std::size_t first = r - r % 13;
    const std::vector<float> part =
        product(first, std::min<std::size_t>(13, kNumRows - first), column, kPanelWidth);
    CHECK(test::same_bits(std::span(part).subspan((r - first) * kPanelWidth, kPanelWidth),
                          expected.subspan(column, kPanelWidth)));
  }
}

TEST(a_value_is_the_same_bit_for_bit_whatever_is_computed_beside_it) {
  for (const KernelTable* kernels : test::all_kernels()) {
    check_independence<F32>(*kernels);
    check_independence<Bf16>(*kernels);
    check_independence<Int8>(*kernels);
  }
}

}  // namespace
}  // namespace twopass
