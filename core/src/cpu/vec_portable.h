#ifndef TWOPASS_SRC_CPU_VEC_PORTABLE_H_
#define TWOPASS_SRC_CPU_VEC_PORTABLE_H_

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace twopass {
namespace {

// What the kernels are written in: a vector of kWidth lanes and what one does with it. This one is
// arrays and loops, for machines without kernels of their own and as the reference for the others.
struct Portable {
  static constexpr std::size_t kWidth = 8;
  static constexpr std::size_t kGemmRows = 1;
  // Whether a product takes all rows by one vector of the panel after the other, rather than all
  // vectors by one row after the other: in what order a compiler runs out of registers.
  static constexpr bool kVectorsFirst = false;

  struct F {
    float lane[kWidth];
  };
  struct I {
    std::uint32_t lane[kWidth];
  };

  template <typename Function>
  static F each(Function function) {
    F result;
    for (std::size_t i = 0; i < kWidth; ++i) {
      result.lane[i] = function(i);
    }
    return result;
  }
  template <typename Function>
  static I each_word(Function function) {
    I result;
    for (std::size_t i = 0; i < kWidth; ++i) {
      result.lane[i] = function(i);
    }
    return result;
  }

  static F load(const float* p) {
    return each([=](std::size_t i) { return p[i]; });
  }
  static void store(float* p, F x) { std::memcpy(p, x.lane, sizeof x.lane); }
  static F broadcast(float x) {
    return each([=](std::size_t) { return x; });
  }
  static F add(F a, F b) {
    return each([=](std::size_t i) { return a.lane[i] + b.lane[i]; });
  }
  static F sub(F a, F b) {
    return each([=](std::size_t i) { return a.lane[i] - b.lane[i]; });
  }
  static F mul(F a, F b) {
    return each([=](std::size_t i) { return a.lane[i] * b.lane[i]; });
  }
  static F div(F a, F b) {
    return each([=](std::size_t i) { return a.lane[i] / b.lane[i]; });
  }
  // a * b + c; rounded once where the machine has an instruction for it, twice here.
  static F fma(F a, F b, F c) {
    return each([=](std::size_t i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
  }
  static F min(F a, F b) {
    return each([=](std::size_t i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  static F max(F a, F b) {
    return each([=](std::size_t i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  static F abs(F x) {
    return each([=](std::size_t i) { return std::fabs(x.lane[i]); });
  }
  static float reduce_add(F x) {
    float sum = 0;
    for (const float value : x.lane) {
      sum += value;
    }
    return sum;
  }
  static float reduce_max(F x) {
    float largest = x.lane[0];
    for (const float value : x.lane) {
      largest = value > largest ? value : largest;
    }
    return largest;
  }
  // To the nearest integer, ties to even.
  static F round(F x) {
    return each([=](std::size_t i) { return std::nearbyint(x.lane[i]); });
  }
  // x * 2^exponent for integers in [-127, 127].
  static F scale_by_power_of_two(F x, F exponent) {
    return each(
        [=](std::size_t i) { return std::ldexp(x.lane[i], static_cast<int>(exponent.lane[i])); });
  }

  static I load_words(const void* p) {
    I words;
    std::memcpy(words.lane, p, sizeof words.lane);
    return words;
  }
  static void store_words(void* p, I x) { std::memcpy(p, x.lane, sizeof x.lane); }
  static I broadcast_word(std::uint32_t x) {
    return each_word([=](std::size_t) { return x; });
  }
  static I zero_words() { return broadcast_word(0); }
  static F to_float(I x) {
    return each(
        [=](std::size_t i) { return static_cast<float>(static_cast<std::int32_t>(x.lane[i])); });
  }

  // Rounds to the nearest integers, ties to even, and stores them with 128 added, a byte each.
  static void store_quantized(std::uint8_t* p, F x) {
    for (std::size_t i = 0; i < kWidth; ++i) {
      p[i] = static_cast<std::uint8_t>(static_cast<int>(std::nearbyint(x.lane[i])) + 128);
    }
  }

  // Sum of four products of unsigned by signed bytes, in each word.
  static I dot_u8s8(I sum, I row, I column) {
    return each_word([=](std::size_t i) {
      std::uint32_t total = sum.lane[i];
      for (unsigned shift = 0; shift < 32; shift += 8) {
        const auto a = static_cast<std::int32_t>(static_cast<std::uint8_t>(row.lane[i] >> shift));
        const auto b = static_cast<std::int32_t>(static_cast<std::int8_t>(column.lane[i] >> shift));
        total += static_cast<std::uint32_t>(a * b);
      }
      return total;
    });
  }

  static std::uint32_t round_to_bf16(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    return (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  }
  static void store_bf16(std::uint16_t* p, F x) {
    for (std::size_t i = 0; i < kWidth; ++i) {
      p[i] = static_cast<std::uint16_t>(round_to_bf16(x.lane[i]));
    }
  }
  // Both rounded to bfloat16, the first in the lower half of each word.
  static I pair_bf16(F first, F second) {
    return each_word([=](std::size_t i) {
      return round_to_bf16(first.lane[i]) | (round_to_bf16(second.lane[i]) << 16);
    });
  }
  // Sum of two products of bfloat16 numbers, in each word.
  static F dot_bf16(F sum, I row, I column) {
    const auto lower = [](std::uint32_t word) { return std::bit_cast<float>(word << 16); };
    const auto upper = [](std::uint32_t word) { return std::bit_cast<float>(word & 0xffff0000U); };
    return each([=](std::size_t i) {
      const float first = sum.lane[i] + lower(row.lane[i]) * lower(column.lane[i]);
      return first + upper(row.lane[i]) * upper(column.lane[i]);
    });
  }
};

}  // namespace
}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_VEC_PORTABLE_H_
