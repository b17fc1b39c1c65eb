#ifndef TWOPASS_SRC_CPU_KERNELS_H_
#define TWOPASS_SRC_CPU_KERNELS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "twopass/isa.h"

// What depends on the instruction set. Matrices are row-major; strides count elements. Pointers are
// unowned, outputs overlap no input, and kernels never allocate, throw or touch global state.
//
// A right-hand matrix [depth, width] is packed in panels of kPanelWidth columns:
//
//     [width / kPanelWidth][depth / n][kPanelWidth][n]
//
// where n elements of a column fill four bytes: 4 of int8, 2 of bfloat16, 1 of float32. So a step
// of any product reads four bytes of a left-hand row and 128 of a panel. Of int8 a table may want
// eight: KernelTable::int8_run.

namespace twopass {

// Depths and widths are multiples of this, int8 depths of twice this: no kernel has a tail along a
// row, and a row of int8 or bfloat16 is a whole number of cache lines.
inline constexpr std::size_t kPanelWidth = 32;

// Left-hand matrices have room for a multiple of this many rows. What lies in rows beyond the last
// is read where a tile reaches over it, and then dropped.
inline constexpr std::size_t kRowTile = 32;

enum class Epilogue {
  kRaw,    // output = value, without bias or scales: of float products alone
  kStore,  // output = value
  kAdd,    // output += value
  kGelu,   // output = gelu(value)
  kRelu,   // output = max(value, 0)
  kSilu,   // output = value / (1 + exp(-value))
  // output = gelu(gate) * up, and likewise. The first half of a panel's columns are gates, the
  // second half what they let through: panel p gives the columns [p, p + 1) * kPanelWidth / 2.
  kGatedGelu,
  kGatedRelu,
  kGatedSilu,
};

constexpr bool is_gated(Epilogue epilogue) {
  return epilogue == Epilogue::kGatedGelu || epilogue == Epilogue::kGatedRelu ||
         epilogue == Epilogue::kGatedSilu;
}

// gelu(x) = x Phi(x), with Phi(x) - 1/2 = x p(x) an odd function: p as a polynomial in z, where
// z = 2 (x / kGeluBound)^2 - 1 and x is clamped to +-kGeluBound; coefficients[i] belongs to z^i.
inline constexpr float kGeluBound = 5.0F;
inline constexpr std::size_t kNumGeluCoefficients = 12;
using GeluCoefficients = std::array<float, kNumGeluCoefficients>;

struct GemmOutput {
  float* values;  // [num_rows, stride]
  std::size_t stride;
  Epilogue epilogue;
  const float* bias = nullptr;             // [num_panels * kPanelWidth]; not of kRaw
  const GeluCoefficients* gelu = nullptr;  // of kGelu and kGatedGelu alone
};

// output = epilogue(rows * panels + bias). Every value is summed in order of depth, whatever the
// other rows and columns are.
template <typename Element, typename PanelElement = Element>
struct Gemm {
  const Element* rows;  // [num_rows, row_stride], room for a multiple of kRowTile rows
  std::size_t row_stride;
  std::size_t num_rows;
  const PanelElement* panels;
  std::size_t num_panels;
  std::size_t depth;
  GemmOutput output;
};

using GemmF32 = Gemm<float>;
using GemmBf16 = Gemm<std::uint16_t>;

// Rows are unsigned, q + 128 with q in [-127, 127], since that is what multipliers take.
//   value = row_scale * column_scale * (sum of row * column + correction)
// with correction = -128 * (sum of column), which takes the 128 out again.
struct GemmInt8 : Gemm<std::uint8_t, std::int8_t> {
  const float* row_scales;          // [num_rows]
  const float* column_scales;       // [num_panels * kPanelWidth]
  const std::int32_t* corrections;  // [num_panels * kPanelWidth]
};

// Softmax of scores without its division: output = exp(score - largest), inverse_sums = 1 / (sum of
// these). Query r, a row, sees the keys [first_key + r, last_key + r) of those there are, the
// columns [0, num_keys); it sees at least one.
template <typename Output>
struct ExpRows {
  float* scores;  // [num_rows, stride], overwritten
  std::size_t num_rows;
  std::size_t num_keys;
  std::size_t stride;  // a multiple of kPanelWidth, at least num_keys
  Output* output;      // [num_rows, stride]; what is not seen is below 1e-37. May be scores itself.
  float* inverse_sums;  // [num_rows]
  std::ptrdiff_t first_key = -kAllKeys;
  std::ptrdiff_t last_key = kAllKeys;
  // Added to the scores first: bias[c - r], readable for every c in [0, stride); or null.
  const float* bias = nullptr;

  static constexpr std::ptrdiff_t kAllKeys = std::ptrdiff_t{1} << 40;
};

struct KernelTable {
  Isa isa;

  // Whether bfloat16 products are faster than float32 ones.
  bool has_fast_bf16;

  // The n of int8 panels: 4, or 8 where a product takes as many of a column at a time.
  std::size_t int8_run;

  // Calls of the gemm kernels stand between these, on each thread.
  void (*begin)() noexcept;
  void (*end)() noexcept;

  void (*gemm_f32)(const GemmF32&) noexcept;
  void (*gemm_bf16)(const GemmBf16&) noexcept;
  void (*gemm_int8)(const GemmInt8&) noexcept;

  // Quantises each row with one symmetric scale: input * factor ~= scale * (output - 128).
  //   input  [num_rows, width]  finite
  //   factors [width]           of the columns, or null where all are 1
  //   output [num_rows, width]  in [1, 255]
  //   scales [num_rows]         of a row of zeros 1, so that nothing divides by zero
  void (*quantize_rows)(const float* input, const float* factors, std::size_t num_rows,
                        std::size_t width, std::uint8_t* output, float* scales) noexcept;

  // Rounds rows to bfloat16, to nearest, ties to even: input [num_rows, input_stride], of which
  // width columns count, to output [num_rows, width].
  void (*round_rows)(const float* input, std::size_t input_stride, std::size_t num_rows,
                     std::size_t width, std::uint16_t* output) noexcept;

  // Normalises each row to mean 0 and variance 1, then scales and shifts it. The output may be the
  // input itself.
  void (*layer_norm)(const float* input, std::size_t num_rows, std::size_t width,
                     const float* scale, const float* shift, float epsilon, float* output) noexcept;

  void (*exp_rows_f32)(const ExpRows<float>&) noexcept;
  void (*exp_rows_bf16)(const ExpRows<std::uint16_t>&) noexcept;

  // Rotates the components i and i + half of each row in place by an angle of the row's own:
  //   turns [num_rows, 2, half]  its cosines, then its sines
  // half is a multiple of 16.
  void (*rotate_rows)(float* rows, std::size_t stride, std::size_t num_rows, std::size_t half,
                      const float* turns) noexcept;

  // rows[r] *= factors[r].
  void (*scale_rows)(float* rows, std::size_t stride, std::size_t num_rows, std::size_t width,
                     const float* factors) noexcept;

  // output[c, r] = input[r, c] for words of four bytes; both sizes are multiples of 16.
  void (*transpose_words)(const std::uint32_t* input, std::size_t input_stride,
                          std::size_t num_rows, std::size_t num_columns, std::uint32_t* output,
                          std::size_t output_stride) noexcept;

  // Words of two bfloat16 numbers, of the first row in the lower half: one column of a packed pair.
  void (*interleave_bf16)(const float* first, const float* second, std::size_t width,
                          std::uint32_t* output) noexcept;
};

// The table of an instruction set, or null where this machine lacks it.
const KernelTable* find_kernels(Isa isa);

// The table in use: of the best set that this machine has, or of the one that the environment
// variable TWOPASS_ISA names. Throws std::invalid_argument where that is unknown or not supported.
const KernelTable& kernels();

}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_KERNELS_H_
