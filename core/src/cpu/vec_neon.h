#ifndef TWOPASS_SRC_CPU_VEC_NEON_H_
#define TWOPASS_SRC_CPU_VEC_NEON_H_

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

namespace twopass {
namespace {  // each translation unit compiles this for its own instruction set

// Eight lanes in two registers; what vec_portable.h says of each function holds here. With as many
// lanes as AVX2 and the same order of sums, every kernel gives AVX2's results bit for bit.
struct Neon {
  static constexpr std::size_t kWidth = 8;
  // 24 accumulators, 3 rows, and the vectors of the panel one after the other, in 32 registers.
  static constexpr std::size_t kGemmRows = 3;
  static constexpr bool kVectorsFirst = true;

  struct F {
    float32x4_t low, high;
  };
  struct I {
    int32x4_t low, high;
  };

  static F load(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4)}; }
  static void store(float* p, F x) {
    vst1q_f32(p, x.low);
    vst1q_f32(p + 4, x.high);
  }
  static F broadcast(float x) { return {vdupq_n_f32(x), vdupq_n_f32(x)}; }
  static F add(F a, F b) { return {vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)}; }
  static F sub(F a, F b) { return {vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high)}; }
  static F mul(F a, F b) { return {vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)}; }
  static F div(F a, F b) { return {vdivq_f32(a.low, b.low), vdivq_f32(a.high, b.high)}; }
  static F fma(F a, F b, F c) {
    return {vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)};
  }
  static F min(F a, F b) { return {vminq_f32(a.low, b.low), vminq_f32(a.high, b.high)}; }
  static F max(F a, F b) { return {vmaxq_f32(a.low, b.low), vmaxq_f32(a.high, b.high)}; }
  static F abs(F x) { return {vabsq_f32(x.low), vabsq_f32(x.high)}; }
  static float reduce_add(F x) {
    const float32x4_t four = vaddq_f32(x.low, x.high);
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
  }
  static float reduce_max(F x) { return vmaxvq_f32(vmaxq_f32(x.low, x.high)); }
  static F round(F x) { return {vrndnq_f32(x.low), vrndnq_f32(x.high)}; }
  static F scale_by_power_of_two(F x, F exponent) {
    const I n = nearest_words(exponent);
    const int32x4_t bias = vdupq_n_s32(127);
    const int32x4_t low = vshlq_n_s32(vaddq_s32(n.low, bias), 23);
    const int32x4_t high = vshlq_n_s32(vaddq_s32(n.high, bias), 23);
    return mul(x, as_floats({low, high}));
  }

  static I load_words(const void* p) {
    const auto* words = static_cast<const std::int32_t*>(p);
    return {vld1q_s32(words), vld1q_s32(words + 4)};
  }
  static void store_words(void* p, I x) {
    auto* words = static_cast<std::int32_t*>(p);
    vst1q_s32(words, x.low);
    vst1q_s32(words + 4, x.high);
  }
  static I broadcast_word(std::uint32_t x) {
    const int32x4_t words = vreinterpretq_s32_u32(vdupq_n_u32(x));
    return {words, words};
  }
  static I zero_words() { return broadcast_word(0); }
  static F to_float(I x) { return {vcvtq_f32_s32(x.low), vcvtq_f32_s32(x.high)}; }

  static void store_quantized(std::uint8_t* p, F x) {
    const I q = nearest_words(x);
    const int16x8_t halves = vcombine_s16(vqmovn_s32(q.low), vqmovn_s32(q.high));
    const uint8x8_t bytes = vreinterpret_u8_s8(vqmovn_s16(halves));
    vst1_u8(p, veor_u8(bytes, vdup_n_u8(0x80)));
  }

  // Sum of four products of signed bytes, in each word. Pairs of products fit 16 bits, as no column
  // has -128: 2 * 128 * 127 = 32,512.
  static I dot_s8s8(I sum, I row, I column) {
    const auto four = [](int32x4_t sums, int32x4_t rows, int32x4_t columns) {
      const int8x16_t a = vreinterpretq_s8_s32(rows), b = vreinterpretq_s8_s32(columns);
      const int16x8_t first = vmull_s8(vget_low_s8(a), vget_low_s8(b));
      return vpadalq_s16(sums, vpaddq_s16(first, vmull_high_s8(a, b)));
    };
    return {four(sum.low, row.low, column.low), four(sum.high, row.high, column.high)};
  }

  static void store_bf16(std::uint16_t* p, F x) {
    const I words = rounded_to_bf16(x);
    vst1q_u16(p, vcombine_u16(vmovn_u32(vreinterpretq_u32_s32(words.low)),
                              vmovn_u32(vreinterpretq_u32_s32(words.high))));
  }
  static I pair_bf16(F first, F second) {
    const I lower = rounded_to_bf16(first), upper = rounded_to_bf16(second);
    return {vsliq_n_s32(lower.low, upper.low, 16), vsliq_n_s32(lower.high, upper.high, 16)};
  }
  static F dot_bf16(F sum, I row, I column) {
    return fma(odd_bf16(row), odd_bf16(column), fma(even_bf16(row), even_bf16(column), sum));
  }

 private:
  static I nearest_words(F x) { return {vcvtnq_s32_f32(x.low), vcvtnq_s32_f32(x.high)}; }
  static I rounded_to_bf16(F x) {  // in the lower half of each word
    const auto four = [](float32x4_t numbers) {
      const uint32x4_t bits = vreinterpretq_u32_f32(numbers);
      const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
      const uint32x4_t half = vaddq_u32(odd, vdupq_n_u32(0x7fff));
      return vreinterpretq_s32_u32(vshrq_n_u32(vaddq_u32(bits, half), 16));
    };
    return {four(x.low), four(x.high)};
  }
  static F even_bf16(I words) {
    return as_floats({vshlq_n_s32(words.low, 16), vshlq_n_s32(words.high, 16)});
  }
  static F odd_bf16(I words) {
    const int32x4_t upper = vdupq_n_s32(static_cast<std::int32_t>(0xffff0000U));
    return as_floats({vandq_s32(words.low, upper), vandq_s32(words.high, upper)});
  }
  static F as_floats(I words) {
    return {vreinterpretq_f32_s32(words.low), vreinterpretq_f32_s32(words.high)};
  }
};

#ifdef __ARM_FEATURE_DOTPROD
struct NeonDotprod : Neon {
  static I dot_s8s8(I sum, I row, I column) {
    const auto bytes = [](int32x4_t words) { return vreinterpretq_s8_s32(words); };
    return {vdotq_s32(sum.low, bytes(column.low), bytes(row.low)),
            vdotq_s32(sum.high, bytes(column.high), bytes(row.high))};
  }
};
#endif

#ifdef __ARM_FEATURE_BF16_VECTOR_ARITHMETIC
struct NeonI8mm : NeonDotprod {
  static void store_bf16(std::uint16_t* p, F x) {
    vst1q_u16(p, vcombine_u16(rounded_to_bf16(x.low), rounded_to_bf16(x.high)));
  }
  static I pair_bf16(F first, F second) {
    const auto four = [](float32x4_t lower, float32x4_t upper) {
      const uint16x4x2_t halves = vzip_u16(rounded_to_bf16(lower), rounded_to_bf16(upper));
      return vreinterpretq_s32_u16(vcombine_u16(halves.val[0], halves.val[1]));
    };
    return {four(first.low, second.low), four(first.high, second.high)};
  }

 private:
  static uint16x4_t rounded_to_bf16(float32x4_t x) {
    return vreinterpret_u16_bf16(vcvt_bf16_f32(x));
  }
};
#endif

// output[c, r] = input[r, c] of a square of 4 words.
inline void transpose_square(const std::uint32_t* input, std::size_t input_stride,
                             std::uint32_t* output, std::size_t output_stride) {
  const uint32x4_t row0 = vld1q_u32(input), row1 = vld1q_u32(input + input_stride);
  const uint32x4_t row2 = vld1q_u32(input + 2 * input_stride);
  const uint32x4_t row3 = vld1q_u32(input + 3 * input_stride);
  const auto pairs = [](uint32x4_t words) { return vreinterpretq_u64_u32(words); };
  const uint64x2_t even01 = pairs(vtrn1q_u32(row0, row1)), odd01 = pairs(vtrn2q_u32(row0, row1));
  const uint64x2_t even23 = pairs(vtrn1q_u32(row2, row3)), odd23 = pairs(vtrn2q_u32(row2, row3));
  const auto words = [](uint64x2_t pairs) { return vreinterpretq_u32_u64(pairs); };
  vst1q_u32(output, words(vtrn1q_u64(even01, even23)));
  vst1q_u32(output + output_stride, words(vtrn1q_u64(odd01, odd23)));
  vst1q_u32(output + 2 * output_stride, words(vtrn2q_u64(even01, even23)));
  vst1q_u32(output + 3 * output_stride, words(vtrn2q_u64(odd01, odd23)));
}

inline void transpose_words_neon(const std::uint32_t* input, std::size_t input_stride,
                                 std::size_t num_rows, std::size_t num_columns,
                                 std::uint32_t* output, std::size_t output_stride) noexcept {
  for (std::size_t r = 0; r < num_rows; r += 4) {
    for (std::size_t c = 0; c < num_columns; c += 4) {
      transpose_square(input + r * input_stride + c, input_stride, output + c * output_stride + r,
                       output_stride);
    }
  }
}

}  // namespace
}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_VEC_NEON_H_
