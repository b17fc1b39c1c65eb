#ifndef TWOPASS_SRC_CPU_ROWS_H_
#define TWOPASS_SRC_CPU_ROWS_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "cpu/exp2.h"
#include "cpu/kernels.h"

// The kernels that take one row at a time, written in a vector type V (see vec_portable.h).

namespace twopass {
namespace {  // each translation unit compiles this for its own instruction set

template <typename V, typename Load>
void quantize_row(Load load, std::size_t width, std::uint8_t* output, float* scale) {
  typename V::F largest = V::broadcast(0.0F);
  for (std::size_t c = 0; c < width; c += V::kWidth) {
    largest = V::max(largest, V::abs(load(c)));
  }
  const float bound = V::reduce_max(largest);
  // Below the normal numbers the inverse would overflow, and there is nothing to tell apart.
  const bool is_zero = !(bound >= std::numeric_limits<float>::min() * 128.0F);
  *scale = is_zero ? 1.0F : bound / 127.0F;
  const typename V::F inverse = V::broadcast(is_zero ? 0.0F : 127.0F / bound);
  for (std::size_t c = 0; c < width; c += V::kWidth) {
    V::store_quantized(output + c, V::mul(load(c), inverse));
  }
}

template <typename V>
void quantize_rows(const float* input, const float* factors, std::size_t num_rows,
                   std::size_t width, std::uint8_t* output, float* scales) noexcept {
  for (std::size_t r = 0; r < num_rows; ++r, input += width, output += width) {
    if (factors == nullptr) {
      quantize_row<V>([=](std::size_t c) { return V::load(input + c); }, width, output, scales + r);
    } else {
      quantize_row<V>(
          [=](std::size_t c) { return V::mul(V::load(input + c), V::load(factors + c)); }, width,
          output, scales + r);
    }
  }
}

template <typename V>
void round_rows(const float* input, std::size_t input_stride, std::size_t num_rows,
                std::size_t width, std::uint16_t* output) noexcept {
  for (std::size_t r = 0; r < num_rows; ++r, input += input_stride, output += width) {
    for (std::size_t c = 0; c < width; c += V::kWidth) {
      V::store_bf16(output + c, V::load(input + c));
    }
  }
}

template <typename V>
void layer_norm(const float* input, std::size_t num_rows, std::size_t width, const float* scale,
                const float* shift, float epsilon, float* output) noexcept {
  const float share = 1.0F / static_cast<float>(width);
  for (std::size_t r = 0; r < num_rows; ++r, input += width, output += width) {
    typename V::F sum = V::broadcast(0.0F);
    for (std::size_t c = 0; c < width; c += V::kWidth) {
      sum = V::add(sum, V::load(input + c));
    }
    const typename V::F mean = V::broadcast(V::reduce_add(sum) * share);
    typename V::F squares = V::broadcast(0.0F);
    for (std::size_t c = 0; c < width; c += V::kWidth) {
      const typename V::F centred = V::sub(V::load(input + c), mean);
      squares = V::fma(centred, centred, squares);
    }
    const float variance = V::reduce_add(squares) * share;
    const typename V::F inverse = V::broadcast(1.0F / std::sqrt(variance + epsilon));
    for (std::size_t c = 0; c < width; c += V::kWidth) {
      const typename V::F normal = V::mul(V::sub(V::load(input + c), mean), inverse);
      V::store(output + c, V::fma(normal, V::load(scale + c), V::load(shift + c)));
    }
  }
}

// The columns of a row that are seen, widened to whole vectors.
template <typename V>
struct SeenKeys {
  template <typename Output>
  SeenKeys(const ExpRows<Output>& args, std::size_t row) {
    const auto num_keys = static_cast<std::ptrdiff_t>(args.num_keys);
    const auto r = static_cast<std::ptrdiff_t>(row);
    first = static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(args.first_key + r, 0, num_keys));
    last = static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(args.last_key + r, 0, num_keys));
    vector_first = first / V::kWidth * V::kWidth;
    vector_last = (last + V::kWidth - 1) / V::kWidth * V::kWidth;
  }
  std::size_t first, last, vector_first, vector_last;
};

template <typename V, typename Output>
void exp_rows(const ExpRows<Output>& args) noexcept {
  constexpr float kLog2E = 1.4426950408889634F;
  constexpr float kUnseen = -std::numeric_limits<float>::max();
  const typename V::F log2_e = V::broadcast(kLog2E);
  float* scores = args.scores;
  Output* output = args.output;
  const float* bias = args.bias;
  for (std::size_t r = 0; r < args.num_rows; ++r, scores += args.stride, output += args.stride) {
    const SeenKeys<V> keys(args, r);
    if (bias != nullptr) {
      for (std::size_t c = keys.vector_first; c < keys.vector_last; c += V::kWidth) {
        V::store(scores + c, V::add(V::load(scores + c), V::load(bias + c)));
      }
      --bias;
    }
    std::fill(scores + keys.vector_first, scores + keys.first, kUnseen);
    std::fill(scores + keys.last, scores + keys.vector_last, kUnseen);
    typename V::F largest = V::load(scores + keys.vector_first);
    for (std::size_t c = keys.vector_first + V::kWidth; c < keys.vector_last; c += V::kWidth) {
      largest = V::max(largest, V::load(scores + c));
    }
    const typename V::F origin = V::broadcast(-V::reduce_max(largest) * kLog2E);
    typename V::F sum = V::broadcast(0.0F);
    std::fill(output, output + keys.vector_first, Output{0});
    for (std::size_t c = keys.vector_first; c < keys.vector_last; c += V::kWidth) {
      const typename V::F e = exp2_of_negative<V>(V::fma(V::load(scores + c), log2_e, origin));
      sum = V::add(sum, e);
      if constexpr (std::is_same_v<Output, float>) {
        V::store(output + c, e);
      } else {
        V::store_bf16(output + c, e);
      }
    }
    std::fill(output + keys.vector_last, output + args.stride, Output{0});
    args.inverse_sums[r] = 1.0F / V::reduce_add(sum);
  }
}

template <typename V>
void rotate_rows(float* rows, std::size_t stride, std::size_t num_rows, std::size_t half,
                 const float* turns) noexcept {
  for (std::size_t r = 0; r < num_rows; ++r, rows += stride, turns += 2 * half) {
    for (std::size_t c = 0; c < half; c += V::kWidth) {
      const typename V::F x = V::load(rows + c), y = V::load(rows + half + c);
      const typename V::F cosine = V::load(turns + c), sine = V::load(turns + half + c);
      V::store(rows + c, V::sub(V::mul(x, cosine), V::mul(y, sine)));
      V::store(rows + half + c, V::fma(y, cosine, V::mul(x, sine)));
    }
  }
}

template <typename V>
void scale_rows(float* rows, std::size_t stride, std::size_t num_rows, std::size_t width,
                const float* factors) noexcept {
  for (std::size_t r = 0; r < num_rows; ++r, rows += stride) {
    const typename V::F factor = V::broadcast(factors[r]);
    for (std::size_t c = 0; c < width; c += V::kWidth) {
      V::store(rows + c, V::mul(V::load(rows + c), factor));
    }
  }
}

template <typename V>
void interleave_bf16(const float* first, const float* second, std::size_t width,
                     std::uint32_t* output) noexcept {
  for (std::size_t c = 0; c < width; c += V::kWidth) {
    V::store_words(output + c, V::pair_bf16(V::load(first + c), V::load(second + c)));
  }
}

inline void transpose_words(const std::uint32_t* input, std::size_t input_stride,
                            std::size_t num_rows, std::size_t num_columns, std::uint32_t* output,
                            std::size_t output_stride) noexcept {
  for (std::size_t r = 0; r < num_rows; ++r) {
    for (std::size_t c = 0; c < num_columns; ++c) {
      std::memcpy(output + c * output_stride + r, input + r * input_stride + c, sizeof *output);
    }
  }
}

}  // namespace
}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_ROWS_H_
