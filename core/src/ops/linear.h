#ifndef TWOPASS_SRC_OPS_LINEAR_H_
#define TWOPASS_SRC_OPS_LINEAR_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cpu/aligned.h"
#include "cpu/kernels.h"
#include "twopass/encoder.h"

namespace twopass {

class Linear;

// Rows as the left-hand side of products, in the precision of these; room for a fixed number.
class EncodedRows {
 public:
  EncodedRows(Precision precision, std::size_t max_rows, std::size_t width);

  // Encodes input [num_rows, width] as the rows from first_row on, for products with this one.
  void encode(const KernelTable& kernels, const Linear& consumer, const float* input,
              std::size_t num_rows, std::size_t first_row);

  std::size_t num_bytes() const;

 private:
  friend class Linear;
  Precision precision_;
  std::size_t width_;
  AlignedArray<std::byte> elements_;
  AlignedArray<float> scales_;  // [max_rows] of int8 alone
};

// Where a product's columns go, and what becomes of what is there.
struct ProductTarget {
  float* values;  // of the first row and the first column asked for, half as many if gated
  std::size_t stride;
  Epilogue epilogue = Epilogue::kStore;
  const GeluCoefficients* gelu = nullptr;
};

// x W^T + b, W packed once for the kernels of a precision.
class Linear {
 public:
  Linear() = default;

  // weight [width, depth] as checkpoints store it, bias [width]; both sizes multiples of
  // kPanelWidth. It multiplies by the kernels it was packed for, no others.
  Linear(const KernelTable& kernels, Precision precision, std::span<const float> weight,
         std::span<const float> bias);

  // The same for inputs whose columns are known to be of unlike size: in int8, part of an input's
  // range moves into the weights, x W^T = (x / f) (f W)^T, so that neither loses its small columns
  // to its large ones; see balancing_factors.
  static Linear balanced(const KernelTable& kernels, Precision precision, std::vector<float> weight,
                         std::span<const float> bias, std::span<const float> input_range);

  // Columns of the panels [first_panel, last_panel) for rows [first_row, first_row + num_rows).
  // first_row is a multiple of kRowTile.
  void multiply(const KernelTable& kernels, const EncodedRows& rows, std::size_t first_row,
                std::size_t num_rows, std::size_t first_panel, std::size_t last_panel,
                const ProductTarget& target) const;

  std::size_t num_panels() const { return bias_.size() / kPanelWidth; }

 private:
  friend class EncodedRows;
  void pack_f32(std::span<const float> weight);
  void pack_bf16(std::span<const float> weight);
  void pack_int8(std::span<const float> weight, std::size_t run);

  Precision precision_ = Precision::kF32;
  std::size_t depth_ = 0;
  AlignedArray<std::byte> panels_;
  AlignedArray<float> bias_;
  AlignedArray<float> column_scales_;  // of int8 alone, as below
  AlignedArray<std::int32_t> corrections_;
  std::vector<float> input_factors_;  // [depth] 1 / f, or empty where nothing is balanced
};

// Factors f [depth] by which weights [width, depth] are multiplied and their inputs divided, so
// that both are quantised equally well: an input's range moves into the weights (SmoothQuant, Xiao
// et al. 2022). input_range [depth], of typical magnitudes.
std::vector<float> balancing_factors(std::span<const float> weight,
                                     std::span<const float> input_range);

// Multiplies the columns of weights [width, depth] by factors [depth].
void scale_columns(std::span<float> weight, std::span<const float> factors);

// Rounds to the nearest bfloat16, ties to even.
std::uint16_t to_bf16(float value);

}  // namespace twopass

#endif  // TWOPASS_SRC_OPS_LINEAR_H_
