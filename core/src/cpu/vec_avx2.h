#ifndef TWOPASS_SRC_CPU_VEC_AVX2_H_
#define TWOPASS_SRC_CPU_VEC_AVX2_H_

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace twopass {
namespace {  // each translation unit compiles this for its own instruction set

// Eight lanes; what vec_portable.h says of each function holds here.
struct Avx2 {
  static constexpr std::size_t kWidth = 8;
  // 8 accumulators in 16 registers: the byte product needs 6 beside them.
  static constexpr std::size_t kGemmRows = 2;
  static constexpr bool kVectorsFirst = false;

  using F = __m256;
  using I = __m256i;

  static F load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, F x) { _mm256_storeu_ps(p, x); }
  static F broadcast(float x) { return _mm256_set1_ps(x); }
  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F div(F a, F b) { return _mm256_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F min(F a, F b) { return _mm256_min_ps(a, b); }
  static F max(F a, F b) { return _mm256_max_ps(a, b); }
  static F abs(F x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), x); }
  static float reduce_add(F x) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }
  static float reduce_max(F x) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
  }
  static F round(F x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static F scale_by_power_of_two(F x, F exponent) {
    const I biased = _mm256_add_epi32(_mm256_cvtps_epi32(exponent), _mm256_set1_epi32(127));
    return mul(x, _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23)));
  }

  static I load_words(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static void store_words(void* p, I x) { _mm256_storeu_si256(static_cast<__m256i*>(p), x); }
  static I broadcast_word(std::uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
  static I zero_words() { return _mm256_setzero_si256(); }
  static F to_float(I x) { return _mm256_cvtepi32_ps(x); }

  static void store_quantized(std::uint8_t* p, F x) {
    const I q = _mm256_cvtps_epi32(x);
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
    const __m128i bytes = _mm_packs_epi16(words, words);
    const __m128i offset = _mm_set1_epi8(static_cast<char>(0x80));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_xor_si128(bytes, offset));
  }

  // vpmaddubsw would saturate: 255 * 127 * 2 = 64,770 > 32,767. So even and odd bytes are widened
  // to 16 bits, whose products vpmaddwd sums in 32.
  static I dot_u8s8(I sum, I row, I column) {
    const I row_even = _mm256_and_si256(row, _mm256_set1_epi16(0x00ff));
    const I row_odd = _mm256_srli_epi16(row, 8);
    const I column_even = _mm256_srai_epi16(_mm256_slli_epi16(column, 8), 8);
    const I column_odd = _mm256_srai_epi16(column, 8);
    const I even = _mm256_madd_epi16(row_even, column_even);
    const I odd = _mm256_madd_epi16(row_odd, column_odd);
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
  }

  static I round_to_bf16(F x) {  // in the lower half of each word
    const I bits = _mm256_castps_si256(x);
    const I odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const I half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
    return _mm256_srli_epi32(_mm256_add_epi32(bits, half), 16);
  }
  static void store_bf16(std::uint16_t* p, F x) {
    const I words = round_to_bf16(x);
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(p),
        _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
  }
  static I pair_bf16(F first, F second) {
    return _mm256_or_si256(round_to_bf16(first), _mm256_slli_epi32(round_to_bf16(second), 16));
  }
  static F dot_bf16(F sum, I row, I column) {
    const I upper = _mm256_set1_epi32(static_cast<int>(0xffff0000U));
    const F row0 = _mm256_castsi256_ps(_mm256_slli_epi32(row, 16));
    const F row1 = _mm256_castsi256_ps(_mm256_and_si256(row, upper));
    const F column0 = _mm256_castsi256_ps(_mm256_slli_epi32(column, 16));
    const F column1 = _mm256_castsi256_ps(_mm256_and_si256(column, upper));
    return fma(row1, column1, fma(row0, column0, sum));
  }
};

}  // namespace
}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_VEC_AVX2_H_
