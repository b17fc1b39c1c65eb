#ifndef TWOPASS_SRC_CPU_VEC_AVX512_H_
#define TWOPASS_SRC_CPU_VEC_AVX512_H_

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace twopass {
namespace {  // each translation unit compiles this for its own instruction set

// Sixteen lanes; what vec_portable.h says of each function holds here.
struct Avx512Base {
  static constexpr std::size_t kWidth = 16;
  // 24 accumulators, 2 columns of the panel and 1 row in 32 registers.
  static constexpr std::size_t kGemmRows = 12;
  static constexpr bool kVectorsFirst = false;

  using F = __m512;
  using I = __m512i;

  static F load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, F x) { _mm512_storeu_ps(p, x); }
  static F broadcast(float x) { return _mm512_set1_ps(x); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F div(F a, F b) { return _mm512_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F min(F a, F b) { return _mm512_min_ps(a, b); }
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
  static F abs(F x) { return _mm512_abs_ps(x); }
  static float reduce_add(F x) { return _mm512_reduce_add_ps(x); }
  static float reduce_max(F x) { return _mm512_reduce_max_ps(x); }
  static F round(F x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static F scale_by_power_of_two(F x, F exponent) { return _mm512_scalef_ps(x, exponent); }

  static I load_words(const void* p) { return _mm512_loadu_si512(p); }
  static void store_words(void* p, I x) { _mm512_storeu_si512(p, x); }
  static I broadcast_word(std::uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
  static I zero_words() { return _mm512_setzero_si512(); }
  static F to_float(I x) { return _mm512_cvtepi32_ps(x); }

  static void store_quantized(std::uint8_t* p, F x) {
    const __m128i q = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x));
    const __m128i offset = _mm_set1_epi8(static_cast<char>(0x80));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_xor_si128(q, offset));
  }

  static I dot_u8s8(I sum, I row, I column) { return _mm512_dpbusd_epi32(sum, row, column); }
};

struct Avx512Vnni : Avx512Base {
  static I round_to_bf16(F x) {  // in the lower half of each word
    const I bits = _mm512_castps_si512(x);
    const I odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const I half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
    return _mm512_srli_epi32(_mm512_add_epi32(bits, half), 16);
  }
  static void store_bf16(std::uint16_t* p, F x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(round_to_bf16(x)));
  }
  static I pair_bf16(F first, F second) {
    return _mm512_or_si512(round_to_bf16(first), _mm512_slli_epi32(round_to_bf16(second), 16));
  }
  static F dot_bf16(F sum, I row, I column) {
    const I upper = _mm512_set1_epi32(static_cast<int>(0xffff0000U));
    const F row0 = _mm512_castsi512_ps(_mm512_slli_epi32(row, 16));
    const F row1 = _mm512_castsi512_ps(_mm512_and_si512(row, upper));
    const F column0 = _mm512_castsi512_ps(_mm512_slli_epi32(column, 16));
    const F column1 = _mm512_castsi512_ps(_mm512_and_si512(column, upper));
    return fma(row1, column1, fma(row0, column0, sum));
  }
};

#ifdef __AVX512BF16__
struct Avx512Bf16 : Avx512Base {
  static void store_bf16(std::uint16_t* p, F x) {
    const __m256bh rounded = _mm512_cvtneps_pbh(x);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), (__m256i)rounded);
  }
  static I pair_bf16(F first, F second) {
    const I lower = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(first));
    const I upper = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(second));
    return _mm512_or_si512(lower, _mm512_slli_epi32(upper, 16));
  }
  static F dot_bf16(F sum, I row, I column) {
    return _mm512_dpbf16_ps(sum, (__m512bh)row, (__m512bh)column);
  }
};
#endif

// output[c, r] = input[r, c] of a square of 16 words.
inline void transpose_square(const std::uint32_t* input, std::size_t input_stride,
                             std::uint32_t* output, std::size_t output_stride) {
  __m512i a[16];
  __m512i b[16];
  for (std::size_t i = 0; i < 16; ++i) {
    a[i] = _mm512_loadu_si512(input + i * input_stride);
  }
  for (std::size_t i = 0; i < 16; i += 2) {  // words, then pairs of words, within lanes of four
    b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
  }
  for (std::size_t i = 0; i < 16; i += 4) {
    a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
    a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
    a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
    a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
  }
  for (std::size_t i = 0; i < 4; ++i) {  // then the lanes themselves, a 4 x 4 square of them
    const __m512i low0 = _mm512_shuffle_i32x4(a[i], a[i + 4], 0x88);
    const __m512i low1 = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0x88);
    const __m512i high0 = _mm512_shuffle_i32x4(a[i], a[i + 4], 0xdd);
    const __m512i high1 = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0xdd);
    _mm512_storeu_si512(output + i * output_stride, _mm512_shuffle_i32x4(low0, low1, 0x88));
    _mm512_storeu_si512(output + (i + 4) * output_stride, _mm512_shuffle_i32x4(high0, high1, 0x88));
    _mm512_storeu_si512(output + (i + 8) * output_stride, _mm512_shuffle_i32x4(low0, low1, 0xdd));
    _mm512_storeu_si512(output + (i + 12) * output_stride,
                        _mm512_shuffle_i32x4(high0, high1, 0xdd));
  }
}

inline void transpose_words_avx512(const std::uint32_t* input, std::size_t input_stride,
                                   std::size_t num_rows, std::size_t num_columns,
                                   std::uint32_t* output, std::size_t output_stride) noexcept {
  for (std::size_t r = 0; r < num_rows; r += 16) {
    for (std::size_t c = 0; c < num_columns; c += 16) {
      transpose_square(input + r * input_stride + c, input_stride, output + c * output_stride + r,
                       output_stride);
    }
  }
}

}  // namespace
}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_VEC_AVX512_H_
