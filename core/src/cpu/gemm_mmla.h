#ifndef TWOPASS_SRC_CPU_GEMM_MMLA_H_
#define TWOPASS_SRC_CPU_GEMM_MMLA_H_

#include <arm_neon.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cpu/epilogue.h"
#include "cpu/gemm.h"
#include "cpu/kernels.h"

// Matrix products by instructions that multiply two rows by two columns, eight bytes of depth at a
// time, and add to a square of four sums, [row][column]. A tile is six rows by half of a panel, in
// 24 squares: the same eight columns of the panel's first half, the gates, and of its second.

namespace twopass {
namespace {  // each translation unit compiles this for its own instruction set

constexpr std::size_t kMmlaRows = 6;
constexpr std::size_t kStepBytes = 8;                     // of a row
constexpr std::size_t kPanelStepBytes = 8 * kPanelWidth;  // of a panel
constexpr std::size_t kSquares = kPanelWidth / 4;         // in half of a panel, by two rows
constexpr std::size_t kMmlaInt8Run = kStepBytes;          // see KernelTable::int8_run

// Columns of a step come four at a time, as two operands of two.
template <typename V>
struct MmlaInt8 : Int8Product<V> {
  using Operand = int8x16_t;
  using Square = int32x4_t;

  static Square start(const GemmInt8& args, std::size_t column) {
    const int32x2_t corrections = vld1_s32(args.corrections + column);
    return vcombine_s32(corrections, corrections);
  }
  static void load(const std::byte* step, std::size_t column, Operand (&columns)[2]) {
    const auto* bytes = reinterpret_cast<const std::int8_t*>(step) + column * kStepBytes;
    columns[0] = vld1q_s8(bytes);
    columns[1] = vld1q_s8(bytes + 2 * kStepBytes);
  }
  static Square add_product(Square sums, uint8x16_t rows, Operand columns) {
    return vusmmlaq_s32(sums, rows, columns);
  }
  static typename V::I row_of(const Square* squares, std::size_t row) {
    const auto sums = [&](std::size_t i) { return vreinterpretq_s64_s32(squares[i]); };
    const auto four = [&](std::size_t i) {
      return vreinterpretq_s32_s64(row == 0 ? vzip1q_s64(sums(i), sums(i + 1))
                                            : vzip2q_s64(sums(i), sums(i + 1)));
    };
    return {four(0), four(2)};
  }
};

// Panels have words of two elements, as attention packs them: a step is two of them, which come
// together here.
template <typename V>
struct MmlaBf16 : Bf16Product<V> {
  using Operand = bfloat16x8_t;
  using Square = float32x4_t;

  static Square start(const GemmBf16&, std::size_t) { return vdupq_n_f32(0.0F); }
  static void load(const std::byte* step, std::size_t column, Operand (&columns)[2]) {
    const auto* words = reinterpret_cast<const std::uint32_t*>(step) + column;
    const uint32x4_t first = vld1q_u32(words), second = vld1q_u32(words + kPanelWidth);
    columns[0] = vreinterpretq_bf16_u32(vzip1q_u32(first, second));
    columns[1] = vreinterpretq_bf16_u32(vzip2q_u32(first, second));
  }
  static Square add_product(Square sums, uint8x16_t rows, Operand columns) {
    return vbfmmlaq_f32(sums, vreinterpretq_bf16_u8(rows), columns);
  }
  static typename V::F row_of(const Square* squares, std::size_t row) {
    const auto sums = [&](std::size_t i) { return vreinterpretq_f64_f32(squares[i]); };
    const auto four = [&](std::size_t i) {
      return vreinterpretq_f32_f64(row == 0 ? vzip1q_f64(sums(i), sums(i + 1))
                                            : vzip2q_f64(sums(i), sums(i + 1)));
    };
    return {four(0), four(2)};
  }
};

// A row's sums of eight columns of a panel's first half, and of the same of its second.
template <typename V, typename Product, Epilogue kEpilogue>
void finish_halves(const typename Product::Args& args, typename Product::Sum first,
                   typename Product::Sum second, std::size_t row, std::size_t column) {
  constexpr std::size_t kHalf = kPanelWidth / 2;
  const typename V::F left = Product::template value<kEpilogue>(args, first, row, column);
  const typename V::F right = Product::template value<kEpilogue>(args, second, row, column + kHalf);
  if constexpr (is_gated(kEpilogue)) {
    const std::size_t panel = column / kPanelWidth;
    finish_gated<V, kEpilogue>(left, right, args.output, row, column - panel * kHalf);
  } else {
    finish<V, kEpilogue>(left, args.output, row, column);
    finish<V, kEpilogue>(right, args.output, row, column + kHalf);
  }
}

// 2 * kPairs rows from first_row on by the eight columns from column on of each half of their
// panel. Rows that there are not are computed and dropped.
template <typename V, typename Product, Epilogue kEpilogue, std::size_t kPairs>
void multiply_squares(const typename Product::Args& args, std::size_t first_row,
                      std::size_t column) {
  const std::size_t panel_column = column % kPanelWidth;
  const auto* panel =
      reinterpret_cast<const std::byte*>(args.panels + (column - panel_column) * args.depth);
  const auto* rows = reinterpret_cast<const std::uint8_t*>(args.rows + first_row * args.row_stride);
  const std::size_t row_bytes = args.row_stride * sizeof *args.rows;
  const std::size_t num_steps = args.depth * sizeof *args.rows / kStepBytes;

  typename Product::Square sums[kPairs][kSquares];
#pragma GCC unroll 16
  for (std::size_t i = 0; i < kSquares; ++i) {
    const std::size_t half = i / (kSquares / 2), offset = i % (kSquares / 2) * 2;
#pragma GCC unroll 16
    for (std::size_t p = 0; p < kPairs; ++p) {
      sums[p][i] = Product::start(args, column + half * kPanelWidth / 2 + offset);
    }
  }
  for (std::size_t step = 0; step < num_steps; ++step) {
    uint8x16_t pairs[kPairs];
#pragma GCC unroll 16
    for (std::size_t p = 0; p < kPairs; ++p) {
      const std::uint8_t* row = rows + 2 * p * row_bytes;
      pairs[p] = vcombine_u8(vld1_u8(row), vld1_u8(row + row_bytes));
    }
#pragma GCC unroll 16
    for (std::size_t i = 0; i < kSquares; i += 2) {
      const std::size_t half = i / (kSquares / 2), offset = i % (kSquares / 2) * 2;
      typename Product::Operand columns[2];
      Product::load(panel, panel_column + half * kPanelWidth / 2 + offset, columns);
#pragma GCC unroll 16
      for (std::size_t p = 0; p < kPairs; ++p) {
        sums[p][i] = Product::add_product(sums[p][i], pairs[p], columns[0]);
        sums[p][i + 1] = Product::add_product(sums[p][i + 1], pairs[p], columns[1]);
      }
    }
    rows += kStepBytes;
    panel += kPanelStepBytes;
  }
#pragma GCC unroll 16
  for (std::size_t p = 0; p < kPairs; ++p) {
#pragma GCC unroll 16
    for (std::size_t r = 0; r < 2; ++r) {
      const std::size_t row = first_row + 2 * p + r;
      if (row < args.num_rows) {
        finish_halves<V, Product, kEpilogue>(args, Product::row_of(sums[p], r),
                                             Product::row_of(sums[p] + kSquares / 2, r), row,
                                             column);
      }
    }
  }
}

// Half of a panel stays in the first cache while all rows pass by it.
template <typename V, typename Product>
void multiply_mmla(const typename Product::Args& args) noexcept {
  with_epilogue(args.output.epilogue, [&args]<Epilogue kEpilogue>() {
    for (std::size_t panel = 0; panel < args.num_panels; ++panel) {
      for (std::size_t half = 0; half < kPanelWidth / 2; half += V::kWidth) {
        const std::size_t column = panel * kPanelWidth + half;
        std::size_t row = 0;
        for (; row + kMmlaRows - 1 <= args.num_rows; row += kMmlaRows) {
          multiply_squares<V, Product, kEpilogue, 3>(args, row, column);
        }
        if (row + 2 < args.num_rows) {
          multiply_squares<V, Product, kEpilogue, 2>(args, row, column);
        } else if (row < args.num_rows) {
          multiply_squares<V, Product, kEpilogue, 1>(args, row, column);
        }
      }
    }
  });
}

}  // namespace
}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_GEMM_MMLA_H_
