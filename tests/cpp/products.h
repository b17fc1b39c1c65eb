#ifndef TWOPASS_TESTS_PRODUCTS_H_
#define TWOPASS_TESTS_PRODUCTS_H_

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "cpu/kernels.h"
#include "samples.h"

// Matrix products as kernels take them, and as one writes them down.

namespace twopass::test {

inline std::size_t padded_rows(std::size_t num_rows) {
  return (num_rows + kRowTile - 1) / kRowTile * kRowTile;
}

// A right-hand matrix, given column by column, in panels as kernels.h lays them out.
template <typename Element>
std::vector<Element> packed(const std::vector<Element>& columns, std::size_t depth) {
  constexpr std::size_t kPerWord = sizeof(std::uint32_t) / sizeof(Element);
  std::vector<Element> panels;
  panels.reserve(columns.size());
  const std::size_t width = columns.size() / depth;
  for (std::size_t panel = 0; panel < width; panel += kPanelWidth) {
    for (std::size_t k = 0; k < depth; k += kPerWord) {
      for (std::size_t c = panel; c < panel + kPanelWidth; ++c) {
        for (std::size_t i = 0; i < kPerWord; ++i) {
          panels.push_back(columns[c * depth + k + i]);
        }
      }
    }
  }
  return panels;
}

// A left-hand matrix of numbers that convert makes elements of. Its rows are further apart than
// they are long, and there is room for whole tiles, filled with what must never reach a result.
template <typename Element>
struct Rows {
  template <typename Convert>
  Rows(const std::vector<double>& values, std::size_t depth_, Element poison, Convert convert)
      : num_rows(values.size() / depth_), depth(depth_), stride(depth_ + 32) {
    elements.assign(padded_rows(num_rows) * stride, poison);
    for (std::size_t r = 0; r < num_rows; ++r) {
      for (std::size_t k = 0; k < depth; ++k) {
        elements[r * stride + k] = convert(values[r * depth + k]);
      }
    }
  }

  std::size_t num_rows;
  std::size_t depth;
  std::size_t stride;
  std::vector<Element> elements;
};

inline float from_bf16(std::uint16_t half) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
}

// To bfloat16, nearest, ties to even.
inline std::uint16_t rounded_to_bf16(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

// The three products, in the terms they share: numbers come as doubles that the elements hold
// exactly, and scales are such that nothing is rounded on the way out.
struct F32 {
  using Element = float;
  using RowElement = float;
  static constexpr std::size_t kDepths[]{32, 96};
  static constexpr int kBound = 100;
  static constexpr float kScale = 1.0F;

  static Rows<float> rows(const std::vector<double>& values, std::size_t depth) {
    return {values, depth, NAN, [](double x) { return static_cast<float>(x); }};
  }
  static std::vector<float> columns(const std::vector<double>& values, std::size_t depth) {
    return packed(std::vector<float>(values.begin(), values.end()), depth);
  }
  static void run(const KernelTable& kernels, const Rows<float>& rows,
                  const std::vector<float>& panels, const GemmOutput& output) {
    const std::size_t num_panels = panels.size() / rows.depth / kPanelWidth;
    kernels.gemm_f32({rows.elements.data(), rows.stride, rows.num_rows, panels.data(), num_panels,
                      rows.depth, output});
  }
};

struct Bf16 {
  using Element = std::uint16_t;
  using RowElement = std::uint16_t;
  static constexpr std::size_t kDepths[]{32, 96};
  static constexpr int kBound = 100;
  static constexpr float kScale = 1.0F;

  static Rows<std::uint16_t> rows(const std::vector<double>& values, std::size_t depth) {
    return {values, depth, std::uint16_t{0x7fc0}, rounded_to_bf16};  // a NaN
  }
  static std::vector<std::uint16_t> columns(const std::vector<double>& values, std::size_t depth) {
    std::vector<std::uint16_t> halves;
    for (const double value : values) {
      halves.push_back(rounded_to_bf16(value));
    }
    return packed(halves, depth);
  }
  static void run(const KernelTable& kernels, const Rows<std::uint16_t>& rows,
                  const std::vector<std::uint16_t>& panels, const GemmOutput& output) {
    const std::size_t num_panels = panels.size() / rows.depth / kPanelWidth;
    kernels.gemm_bf16({rows.elements.data(), rows.stride, rows.num_rows, panels.data(), num_panels,
                       rows.depth, output});
  }
};

struct Int8 {
  using Element = std::int8_t;
  using RowElement = std::uint8_t;
  static constexpr std::size_t kDepths[]{64, 192};
  static constexpr int kBound = 127;
  // Of a row times that of a column. 127 * 127 * 192 = 3.1 M < 2^24: exact in float32.
  static constexpr float kRowScale = 0.5F, kColumnScale = 0.25F;
  static constexpr float kScale = kRowScale * kColumnScale;

  static Rows<std::uint8_t> rows(const std::vector<double>& values, std::size_t depth) {
    return {values, depth, std::uint8_t{255},
            [](double x) { return static_cast<std::uint8_t>(static_cast<int>(x) + 128); }};
  }
  static std::vector<std::int8_t> columns(const std::vector<double>& values, std::size_t depth) {
    return packed(std::vector<std::int8_t>(values.begin(), values.end()), depth);
  }
  // Panels with so many elements of a column side by side, of those with four.
  static std::vector<std::int8_t> in_runs(const std::vector<std::int8_t>& panels, std::size_t run) {
    std::vector<std::int8_t> runs(panels.size());
    for (std::size_t i = 0; i < panels.size(); ++i) {
      const std::size_t c = i / 4 % kPanelWidth, k = i / (4 * kPanelWidth) * 4 + i % 4;
      runs[(k / run * kPanelWidth + c) * run + k % run] = panels[i];
    }
    return runs;
  }
  static std::vector<std::int32_t> corrections(const std::vector<std::int8_t>& panels,
                                               std::size_t depth) {
    std::vector<std::int32_t> sums(panels.size() / depth);
    for (std::size_t i = 0; i < panels.size(); ++i) {
      const std::size_t panel = i / (depth * kPanelWidth);
      sums[panel * kPanelWidth + i / 4 % kPanelWidth] -= 128 * panels[i];
    }
    return sums;
  }
  static void run(const KernelTable& kernels, const Rows<std::uint8_t>& rows,
                  const std::vector<std::int8_t>& panels, const GemmOutput& output) {
    const std::vector<float> row_scales(rows.num_rows, kRowScale);
    run_scaled(kernels, rows, panels, row_scales, kColumnScale, output);
  }
  static void run_scaled(const KernelTable& kernels, const Rows<std::uint8_t>& rows,
                         const std::vector<std::int8_t>& panels,
                         const std::vector<float>& row_scales, float column_scale,
                         const GemmOutput& output) {
    const std::size_t width = panels.size() / rows.depth;
    const std::vector<float> column_scales(width, column_scale);
    const std::vector<std::int8_t> panels_of_runs = in_runs(panels, kernels.int8_run);
    kernels.gemm_int8({{rows.elements.data(), rows.stride, rows.num_rows, panels_of_runs.data(),
                        width / kPanelWidth, rows.depth, output},
                       row_scales.data(),
                       column_scales.data(),
                       corrections(panels, rows.depth).data()});
  }
};

// sums[r, c] = sum over k of rows[r, k] * columns[c, k].
inline std::vector<double> naive_product(const std::vector<double>& rows,
                                         const std::vector<double>& columns, std::size_t depth) {
  std::vector<double> sums;
  for (std::size_t r = 0; r < rows.size(); r += depth) {
    for (std::size_t c = 0; c < columns.size(); c += depth) {
      double sum = 0;
      for (std::size_t k = 0; k < depth; ++k) {
        sum += rows[r + k] * columns[c + k];
      }
      sums.push_back(sum);
    }
  }
  return sums;
}

// An output wider and higher than a product, so that what is written beside it shows.
struct Target {
  Target(std::size_t num_rows_, std::size_t width_, float initial)
      : num_rows(num_rows_), width(width_), stride(width_ + 7) {
    values.assign((padded_rows(num_rows) + kRowTile) * stride, kUntouched);
    for (std::size_t r = 0; r < num_rows; ++r) {
      std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(r * stride), width, initial);
    }
  }

  float at(std::size_t row, std::size_t column) const { return values[row * stride + column]; }

  bool is_untouched_around() const {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool is_inside = i / stride < num_rows && i % stride < width;
      if (!is_inside && values[i] != kUntouched) {
        return false;
      }
    }
    return true;
  }

  // [num_rows, width], closely packed.
  std::vector<float> block() const {
    std::vector<float> inside;
    for (std::size_t r = 0; r < num_rows; ++r) {
      const auto row = values.begin() + static_cast<std::ptrdiff_t>(r * stride);
      inside.insert(inside.end(), row, row + static_cast<std::ptrdiff_t>(width));
    }
    return inside;
  }

  std::size_t num_rows;
  std::size_t width;
  std::size_t stride;
  std::vector<float> values;
};

}  // namespace twopass::test

#endif  // TWOPASS_TESTS_PRODUCTS_H_
