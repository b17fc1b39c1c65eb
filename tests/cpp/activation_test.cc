#include "ops/activation.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "check.h"
#include "products.h"

namespace twopass {
namespace {

double erf_gelu(double x) { return 0.5 * x * std::erfc(-x / std::numbers::sqrt2); }

// Hendrycks and Gimpel 2016, section 2.
double tanh_gelu(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}

double silu(double x) { return x / (1 + std::exp(-x)); }

// The epilogue of a product of zeros: of the bias alone, so of any numbers one likes.
std::vector<float> activated(const KernelTable& kernels, const std::vector<float>& values,
                             Activation activation) {
  constexpr std::size_t kDepth = 32;
  const std::vector<float> rows(kRowTile * kDepth, 0.0F), panels(values.size() * kDepth, 0.0F);
  std::vector<float> output(values.size());
  kernels.begin();
  kernels.gemm_f32({rows.data(),
                    kDepth,
                    1,
                    panels.data(),
                    values.size() / kPanelWidth,
                    kDepth,
                    {output.data(), output.size(), epilogue_of(activation, false), values.data(),
                     &gelu_coefficients(activation)}});
  kernels.end();
  return output;
}

// [-20, 20] in steps of 1/512, and then some, to a whole number of panels.
std::vector<float> arguments() {
  std::vector<float> values;
  for (int i = -20 * 512; i <= 20 * 512; ++i) {
    values.push_back(static_cast<float>(i) / 512);
  }
  values.resize((values.size() + kPanelWidth - 1) / kPanelWidth * kPanelWidth, 0.0F);
  return values;
}

TEST(activations_err_by_less_than_five_millionths) {
  const std::vector<float> values = arguments();
  for (const KernelTable* kernels : test::all_kernels()) {
    for (const auto& [activation, exact] :
         {std::pair(Activation::kGelu, &erf_gelu), std::pair(Activation::kGeluTanh, &tanh_gelu),
          std::pair(Activation::kSilu, &silu)}) {
      const std::vector<float> output = activated(*kernels, values, activation);
      double worst = 0;
      for (std::size_t i = 0; i < values.size(); ++i) {
        worst = std::max(worst, std::fabs(output[i] - exact(values[i])));
      }
      CHECK(worst < 5e-6);
    }
  }
}

TEST(relu_keeps_what_is_above_zero) {
  const std::vector<float> values = arguments();
  for (const KernelTable* kernels : test::all_kernels()) {
    const std::vector<float> output = activated(*kernels, values, Activation::kRelu);
    for (std::size_t i = 0; i < values.size(); ++i) {
      CHECK(output[i] == std::max(values[i], 0.0F));
    }
  }
}

TEST(activations_of_large_numbers_are_the_number_or_next_to_nothing) {
  std::vector<float> values(kPanelWidth, 0.0F);
  values[1] = 1e4F;
  values[2] = -1e4F;
  for (const KernelTable* kernels : test::all_kernels()) {
    for (const Activation activation :
         {Activation::kGelu, Activation::kGeluTanh, Activation::kRelu, Activation::kSilu}) {
      const std::vector<float> output = activated(*kernels, values, activation);
      CHECK(output[0] == 0);
      // Beyond +-5 Phi is 1 and 0 but for the rounding of the polynomial's sum.
      CHECK(std::fabs(output[1] / values[1] - 1) < 2e-7F);
      CHECK(std::fabs(output[2] / values[2]) < 2e-7F);
    }
  }
}

}  // namespace
}  // namespace twopass
