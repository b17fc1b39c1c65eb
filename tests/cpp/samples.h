#ifndef TWOPASS_TESTS_SAMPLES_H_
#define TWOPASS_TESTS_SAMPLES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include "cpu/kernels.h"

namespace twopass::test {

// Numbers that are the same on every machine and in every run.
class Samples {
 public:
  explicit Samples(std::uint32_t seed) : engine_(seed) {}

  // An integer in [low, high].
  int integer(int low, int high) {
    return low + static_cast<int>(engine_() % static_cast<std::uint32_t>(high - low + 1));
  }
  // Multiples of 2^-20 in [-bound, bound], for bounds that are powers of two.
  float real(float bound = 1.0F) {
    return bound * static_cast<float>(integer(-(1 << 20), 1 << 20)) / (1 << 20);
  }
  std::vector<float> reals(std::size_t size, float bound = 1.0F) {
    std::vector<float> values(size);
    for (float& value : values) {
      value = real(bound);
    }
    return values;
  }

 private:
  std::mt19937
      engine_;  // its numbers are laid down by the standard, those of distributions are not
};

// Every kernel table that this machine can run.
inline std::vector<const KernelTable*> all_kernels() {
  std::vector<const KernelTable*> tables;
  for (const Isa isa : supported_isas()) {
    tables.push_back(find_kernels(isa));
  }
  return tables;
}

// Equal bit for bit: 0 and -0 differ, and a NaN equals itself.
inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

// What no computation here gives, to see whether memory was written.
inline constexpr float kUntouched = -1.5e33F;

}  // namespace twopass::test

#endif  // TWOPASS_TESTS_SAMPLES_H_
