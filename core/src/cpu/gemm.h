#ifndef TWOPASS_SRC_CPU_GEMM_H_
#define TWOPASS_SRC_CPU_GEMM_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "cpu/epilogue.h"
#include "cpu/kernels.h"

// Matrix products written in a vector type V (see vec_portable.h). A few rows by one panel stay in
// registers while the depth goes by in steps of four bytes: a step loads the panel's 128 bytes
// once, and broadcasts one word of each row.

namespace twopass {
namespace {  // each translation unit compiles this for its own instruction set

// What a step does by the type of the elements, and what its sums mean in the end.
template <typename V>
struct F32Product {
  using Args = GemmF32;
  using Sum = typename V::F;
  static constexpr std::size_t kPerWord = 1;

  static Sum start(const Args&, std::size_t) { return V::broadcast(0.0F); }
  static Sum step(Sum sum, std::uint32_t row, const void* panel) {
    float value;
    std::memcpy(&value, &row, sizeof value);
    return V::fma(V::broadcast(value), V::load(static_cast<const float*>(panel)), sum);
  }
  template <Epilogue kEpilogue>
  static typename V::F value(const Args& args, Sum sum, std::size_t, std::size_t column) {
    return add_bias<V, kEpilogue>(sum, args.output, column);
  }
};

template <typename V>
struct Bf16Product {
  using Args = GemmBf16;
  using Sum = typename V::F;
  static constexpr std::size_t kPerWord = 2;

  static Sum start(const Args&, std::size_t) { return V::broadcast(0.0F); }
  static Sum step(Sum sum, std::uint32_t row, const void* panel) {
    return V::dot_bf16(sum, V::broadcast_word(row), V::load_words(panel));
  }
  template <Epilogue kEpilogue>
  static typename V::F value(const Args& args, Sum sum, std::size_t, std::size_t column) {
    return add_bias<V, kEpilogue>(sum, args.output, column);
  }
};

template <typename V>
typename V::F dequantize(const GemmInt8& args, typename V::I sum, std::size_t row,
                         std::size_t column) {
  const typename V::F scaled = V::mul(V::to_float(sum), V::load(args.column_scales + column));
  return V::fma(scaled, V::broadcast(args.row_scales[row]), V::load(args.output.bias + column));
}

template <typename V>
struct Int8Product {
  using Args = GemmInt8;
  using Sum = typename V::I;
  static constexpr std::size_t kPerWord = 4;

  static Sum start(const Args& args, std::size_t column) {
    return V::load_words(args.corrections + column);
  }
  static Sum step(Sum sum, std::uint32_t row, const void* panel) {
    return V::dot_u8s8(sum, V::broadcast_word(row), V::load_words(panel));
  }
  template <Epilogue>
  static typename V::F value(const Args& args, Sum sum, std::size_t row, std::size_t column) {
    return dequantize<V>(args, sum, row, column);
  }
};

// For processors whose multipliers want both sides signed: with the 128 taken out of a row's bytes
// before they are multiplied there is nothing to correct, and the sums are the same.
template <typename V>
struct SignedInt8Product : Int8Product<V> {
  using Sum = typename V::I;

  static Sum start(const GemmInt8&, std::size_t) { return V::zero_words(); }
  static Sum step(Sum sum, std::uint32_t row, const void* panel) {
    return V::dot_s8s8(sum, V::broadcast_word(row ^ 0x80808080U), V::load_words(panel));
  }
};

// kRows rows from first_row on by one panel.
template <typename V, typename Product, Epilogue kEpilogue, std::size_t kRows>
void multiply_tile(const typename Product::Args& args, std::size_t first_row, std::size_t panel) {
  constexpr std::size_t kVectors = kPanelWidth / V::kWidth;
  constexpr std::size_t kVectorBytes = V::kWidth * sizeof(std::uint32_t);
  const std::size_t first_column = panel * kPanelWidth;
  const std::size_t num_words = args.depth / Product::kPerWord;
  const auto* columns = reinterpret_cast<const std::byte*>(args.panels + first_column * args.depth);
  const auto* rows = reinterpret_cast<const std::byte*>(args.rows + first_row * args.row_stride);
  const std::size_t row_bytes = args.row_stride * sizeof(std::uint32_t) / Product::kPerWord;

  typename Product::Sum sums[kRows][kVectors];
#pragma GCC unroll 16
  for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (std::size_t v = 0; v < kVectors; ++v) {
      sums[r][v] = Product::start(args, first_column + v * V::kWidth);
    }
  }
  for (std::size_t k = 0; k < num_words; ++k) {
    if constexpr (V::kVectorsFirst) {
#pragma GCC unroll 16
      for (std::size_t v = 0; v < kVectors; ++v) {
#pragma GCC unroll 16
        for (std::size_t r = 0; r < kRows; ++r) {
          std::uint32_t word;
          std::memcpy(&word, rows + r * row_bytes + k * sizeof word, sizeof word);
          sums[r][v] = Product::step(sums[r][v], word, columns + v * kVectorBytes);
        }
      }
    } else {
#pragma GCC unroll 16
      for (std::size_t r = 0; r < kRows; ++r) {
        std::uint32_t word;
        std::memcpy(&word, rows + r * row_bytes + k * sizeof word, sizeof word);
#pragma GCC unroll 16
        for (std::size_t v = 0; v < kVectors; ++v) {
          sums[r][v] = Product::step(sums[r][v], word, columns + v * kVectorBytes);
        }
      }
    }
    columns += kVectors * kVectorBytes;
  }
#pragma GCC unroll 16
  for (std::size_t r = 0; r < kRows; ++r) {
    const std::size_t row = first_row + r;
#pragma GCC unroll 16
    for (std::size_t v = 0; v < (is_gated(kEpilogue) ? kVectors / 2 : kVectors); ++v) {
      const std::size_t column = first_column + v * V::kWidth;
      const typename V::F value = Product::template value<kEpilogue>(args, sums[r][v], row, column);
      if constexpr (is_gated(kEpilogue)) {
        finish_gated<V, kEpilogue>(
            value,
            Product::template value<kEpilogue>(args, sums[r][v + kVectors / 2], row,
                                               column + kPanelWidth / 2),
            args.output, row, first_column / 2 + v * V::kWidth);
      } else {
        finish<V, kEpilogue>(value, args.output, row, column);
      }
    }
  }
}

// The last rows of a panel, fewer than a whole tile.
template <typename V, typename Product, Epilogue kEpilogue, std::size_t kRows>
void multiply_rest(const typename Product::Args& args, std::size_t first_row, std::size_t panel) {
  if constexpr (kRows > 0) {
    if (args.num_rows - first_row == kRows) {
      multiply_tile<V, Product, kEpilogue, kRows>(args, first_row, panel);
    } else {
      multiply_rest<V, Product, kEpilogue, kRows - 1>(args, first_row, panel);
    }
  }
}

// A panel stays in the first cache while all rows pass by it.
template <typename V, typename Product>
void multiply(const typename Product::Args& args) noexcept {
  with_epilogue(args.output.epilogue, [&args]<Epilogue kEpilogue>() {
    for (std::size_t panel = 0; panel < args.num_panels; ++panel) {
      std::size_t row = 0;
      for (; row + V::kGemmRows <= args.num_rows; row += V::kGemmRows) {
        multiply_tile<V, Product, kEpilogue, V::kGemmRows>(args, row, panel);
      }
      multiply_rest<V, Product, kEpilogue, V::kGemmRows - 1>(args, row, panel);
    }
  });
}

}  // namespace
}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_GEMM_H_
