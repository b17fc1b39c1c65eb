#ifndef TWOPASS_ISA_H_
#define TWOPASS_ISA_H_

#include <string_view>
#include <vector>

namespace twopass {

// Instruction sets there are kernels for, slowest first on x86-64 and then on aarch64. A machine
// that has one has those before, of its own processor's.
enum class Isa {
  kPortable,
  kAvx2,
  kAvx512Vnni,
  kAvx512Bf16,
  kAmx,
  kNeon,
  kNeonDotprod,  // Armv8.2-A with FEAT_DotProd
  kNeonI8mm,     // Armv8.6-A: FEAT_I8MM and FEAT_BF16 besides
};

// "portable", "avx2", "avx512_vnni", "avx512_bf16", "amx", "neon", "neon_dotprod" or "neon_i8mm".
std::string_view name_of(Isa isa);

// What this machine has, slowest first.
std::vector<Isa> supported_isas();

// The set in use: the last of those, or the one that the environment variable TWOPASS_ISA names.
// Throws std::invalid_argument where that is unknown or not supported.
Isa selected_isa();

}  // namespace twopass

#endif  // TWOPASS_ISA_H_
