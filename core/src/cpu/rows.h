#ifndef TWOPASS_SRC_CPU_ROWS_H_
#define TWOPASS_SRC_CPU_ROWS_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "cpu/kernels.h"

// The kernels that take one row at a time, written in a vector type V (see vec_portable.h).

namespace twopass {
namespace {  // each translation unit compiles this for its own instruction set

// exp(x) for x <= 0, relative error below 1e-6 where the result is normal; 2^f by a minimax
// polynomial on [-1/2, 1/2], error 7.5e-8. Takes x as x * log2(e).
template <typename V>
typename V::F exp2_of_negative(typename V::F t) {
  t = V::max(t, V::broadcast(-126.0F));  // below, a result would be subnormal
  const typename V::F n = V::round(t);
  const typename V::F f = V::sub(t, n);
  typename V::F p = V::broadcast(0.0013276468962430954F);
  p = V::fma(p, f, V::broadcast(0.009675540961325169F));
  p = V::fma(p, f, V::broadcast(0.05550713464617729F));
  p = V::fma(p, f, V::broadcast(0.24022120237350464F));
  p = V::fma(p, f, V::broadcast(0.6931469440460205F));
  p = V::fma(p, f, V::broadcast(1.0000001192092896F));
  return V::scale_by_power_of_two(p, n);
}

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
void layer_norm(float* rows, std::size_t num_rows, std::size_t width, const float* scale,
                const float* shift, float epsilon) noexcept {
  const float share = 1.0F / static_cast<float>(width);
  for (std::size_t r = 0; r < num_rows; ++r, rows += width) {
    typename V::F sum = V::broadcast(0.0F);
    for (std::size_t c = 0; c < width; c += V::kWidth) {
      sum = V::add(sum, V::load(rows + c));
    }
    const typename V::F mean = V::broadcast(V::reduce_add(sum) * share);
    typename V::F squares = V::broadcast(0.0F);
    for (std::size_t c = 0; c < width; c += V::kWidth) {
      const typename V::F centred = V::sub(V::load(rows + c), mean);
      squares = V::fma(centred, centred, squares);
    }
    const float variance = V::reduce_add(squares) * share;
    const typename V::F inverse = V::broadcast(1.0F / std::sqrt(variance + epsilon));
    for (std::size_t c = 0; c < width; c += V::kWidth) {
      const typename V::F normal = V::mul(V::sub(V::load(rows + c), mean), inverse);
      V::store(rows + c, V::fma(normal, V::load(scale + c), V::load(shift + c)));
    }
  }
}

template <typename V, typename Output>
void exp_rows(float* scores, std::size_t num_rows, std::size_t width, std::size_t stride,
              Output* output, float* inverse_sums) noexcept {
  constexpr float kLog2E = 1.4426950408889634F;
  const typename V::F log2_e = V::broadcast(kLog2E);
  for (std::size_t r = 0; r < num_rows; ++r, scores += stride, output += stride) {
    for (std::size_t c = width; c < stride; ++c) {
      scores[c] = -std::numeric_limits<float>::max();
    }
    typename V::F largest = V::load(scores);
    for (std::size_t c = V::kWidth; c < stride; c += V::kWidth) {
      largest = V::max(largest, V::load(scores + c));
    }
    const typename V::F origin = V::broadcast(-V::reduce_max(largest) * kLog2E);
    typename V::F sum = V::broadcast(0.0F);
    for (std::size_t c = 0; c < stride; c += V::kWidth) {
      const typename V::F e = exp2_of_negative<V>(V::fma(V::load(scores + c), log2_e, origin));
      sum = V::add(sum, e);
      if constexpr (std::is_same_v<Output, float>) {
        V::store(output + c, e);
      } else {
        V::store_bf16(output + c, e);
      }
    }
    inverse_sums[r] = 1.0F / V::reduce_add(sum);
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
