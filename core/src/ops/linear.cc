#include "ops/linear.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace twopass {
namespace {

std::size_t bytes_of(Precision precision) {
  switch (precision) {
    case Precision::kInt8:
      return 1;
    case Precision::kBf16:
      return 2;
    default:
      return 4;
  }
}

// Where column c at depth k lies in panels that keep so many elements of a column side by side.
std::size_t packed_index(std::size_t c, std::size_t k, std::size_t depth, std::size_t run) {
  const std::size_t panel = c / kPanelWidth * kPanelWidth * depth;
  return panel + (k / run * kPanelWidth + c % kPanelWidth) * run + k % run;
}

}  // namespace

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

std::vector<float> balancing_factors(std::span<const float> weight,
                                     std::span<const float> input_range) {
  const std::size_t depth = input_range.size();
  const std::size_t width = weight.size() / depth;
  std::vector<float> factors(depth);
  for (std::size_t k = 0; k < depth; ++k) {
    float squares = 0;
    for (std::size_t c = 0; c < width; ++c) {
      squares += weight[c * depth + k] * weight[c * depth + k];
    }
    const float weight_range = std::sqrt(squares / static_cast<float>(width));
    // Where a column or its weights are all but zero, there is nothing to balance.
    const float f = std::sqrt(input_range[k] / std::max(weight_range, 1e-6F));
    factors[k] = std::clamp(f, 1e-3F, 1e3F);
  }
  return factors;
}

void scale_columns(std::span<float> weight, std::span<const float> factors) {
  for (std::size_t i = 0; i < weight.size(); ++i) {
    weight[i] *= factors[i % factors.size()];
  }
}

EncodedRows::EncodedRows(Precision precision, std::size_t max_rows, std::size_t width)
    : precision_(precision), width_(width) {
  const std::size_t padded = (max_rows + kRowTile - 1) / kRowTile * kRowTile;
  elements_ = AlignedArray<std::byte>(padded * width * bytes_of(precision));
  scales_ = AlignedArray<float>(precision == Precision::kInt8 ? padded : 0);
}

void EncodedRows::encode(const KernelTable& kernels, const Linear& consumer, const float* input,
                         std::size_t num_rows, std::size_t first_row) {
  std::byte* target = elements_.data() + first_row * width_ * bytes_of(precision_);
  switch (precision_) {
    case Precision::kInt8:
      kernels.quantize_rows(
          input, consumer.input_factors_.empty() ? nullptr : consumer.input_factors_.data(),
          num_rows, width_, reinterpret_cast<std::uint8_t*>(target), scales_.data() + first_row);
      break;
    case Precision::kBf16:
      kernels.round_rows(input, width_, num_rows, width_, reinterpret_cast<std::uint16_t*>(target));
      break;
    case Precision::kF32:
      std::copy_n(input, num_rows * width_, reinterpret_cast<float*>(target));
      break;
  }
}

std::size_t EncodedRows::num_bytes() const { return elements_.num_bytes() + scales_.num_bytes(); }

Linear::Linear(const KernelTable& kernels, Precision precision, std::span<const float> weight,
               std::span<const float> bias)
    : precision_(precision), depth_(weight.size() / bias.size()), bias_(bias.size()) {
  std::copy(bias.begin(), bias.end(), bias_.data());
  panels_ = AlignedArray<std::byte>(weight.size() * bytes_of(precision));
  switch (precision) {
    case Precision::kInt8:
      pack_int8(weight, kernels.int8_run);
      break;
    case Precision::kBf16:
      pack_bf16(weight);
      break;
    case Precision::kF32:
      pack_f32(weight);
      break;
  }
}

Linear Linear::balanced(const KernelTable& kernels, Precision precision, std::vector<float> weight,
                        std::span<const float> bias, std::span<const float> input_range) {
  if (precision != Precision::kInt8) {
    return Linear(kernels, precision, weight, bias);
  }
  std::vector<float> factors = balancing_factors(weight, input_range);
  scale_columns(weight, factors);
  Linear linear(kernels, precision, weight, bias);
  for (float& factor : factors) {
    factor = 1.0F / factor;
  }
  linear.input_factors_ = std::move(factors);
  return linear;
}

void Linear::pack_f32(std::span<const float> weight) {
  auto* packed = reinterpret_cast<float*>(panels_.data());
  for (std::size_t c = 0; c < bias_.size(); ++c) {
    for (std::size_t k = 0; k < depth_; ++k) {
      packed[packed_index(c, k, depth_, 1)] = weight[c * depth_ + k];
    }
  }
}

void Linear::pack_bf16(std::span<const float> weight) {
  auto* packed = reinterpret_cast<std::uint16_t*>(panels_.data());
  for (std::size_t c = 0; c < bias_.size(); ++c) {
    for (std::size_t k = 0; k < depth_; ++k) {
      packed[packed_index(c, k, depth_, 2)] = to_bf16(weight[c * depth_ + k]);
    }
  }
}

void Linear::pack_int8(std::span<const float> weight, std::size_t run) {
  column_scales_ = AlignedArray<float>(bias_.size());
  corrections_ = AlignedArray<std::int32_t>(bias_.size());
  auto* packed = reinterpret_cast<std::int8_t*>(panels_.data());
  for (std::size_t c = 0; c < bias_.size(); ++c) {
    const std::span<const float> column = weight.subspan(c * depth_, depth_);
    float bound = 0;
    for (const float value : column) {
      bound = std::max(bound, std::fabs(value));
    }
    const float scale = bound > 0 ? bound / 127.0F : 1.0F;
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < depth_; ++k) {
      const float rounded = std::nearbyint(column[k] / scale);
      const auto q = static_cast<std::int8_t>(std::clamp(rounded, -127.0F, 127.0F));
      packed[packed_index(c, k, depth_, run)] = q;
      sum += q;
    }
    column_scales_[c] = scale;
    // 128 * 127 * 4096 = 66.6 M: int32 has room for 32 times that.
    corrections_[c] = -128 * sum;
  }
}

void Linear::multiply(const KernelTable& kernels, const EncodedRows& rows, std::size_t first_row,
                      std::size_t num_rows, std::size_t first_panel, std::size_t last_panel,
                      const ProductTarget& target) const {
  const std::size_t column = first_panel * kPanelWidth;
  const std::size_t num_panels = last_panel - first_panel;
  const std::size_t size = bytes_of(precision_);
  const std::byte* left = rows.elements_.data() + first_row * depth_ * size;
  const std::byte* right = panels_.data() + column * depth_ * size;
  const GemmOutput output{target.values, target.stride, target.epilogue, bias_.data() + column,
                          target.gelu};
  switch (precision_) {
    case Precision::kInt8:
      return kernels.gemm_int8(
          {{reinterpret_cast<const std::uint8_t*>(left), depth_, num_rows,
            reinterpret_cast<const std::int8_t*>(right), num_panels, depth_, output},
           rows.scales_.data() + first_row,
           column_scales_.data() + column,
           corrections_.data() + column});
    case Precision::kBf16:
      return kernels.gemm_bf16({reinterpret_cast<const std::uint16_t*>(left), depth_, num_rows,
                                reinterpret_cast<const std::uint16_t*>(right), num_panels, depth_,
                                output});
    case Precision::kF32:
      return kernels.gemm_f32({reinterpret_cast<const float*>(left), depth_, num_rows,
                               reinterpret_cast<const float*>(right), num_panels, depth_, output});
  }
}

}  // namespace twopass
