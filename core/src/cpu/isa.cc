#include "twopass/isa.h"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "cpu/kernels.h"
#include "cpu/tables.h"
#include "require.h"

#ifdef TWOPASS_X86
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(TWOPASS_AARCH64) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace twopass {
namespace {

constexpr std::array kIsas{Isa::kPortable, Isa::kAvx2, Isa::kAvx512Vnni,  Isa::kAvx512Bf16,
                           Isa::kAmx,      Isa::kNeon, Isa::kNeonDotprod, Isa::kNeonI8mm};

#ifdef TWOPASS_X86

// What the processor says it has, and whether the system keeps the registers that it takes, by
// cpuid itself: __builtin_cpu_supports() answers no to everything where a compiler's runtime
// library does not fill in its table, as Zig's does not, and the portable kernels would serve
// without a word.
struct Features {
  unsigned leaf1_ecx = 0, leaf7_ebx = 0, leaf7_ecx = 0, leaf7_1_eax = 0;
  std::uint32_t saved = 0;  // XCR0
};

const Features& features() {
  static const Features found = [] {
    Features f;
    unsigned eax = 0, ebx = 0, edx = 0;
    constexpr unsigned kOsSavesExtended = 1U << 27;
    if (__get_cpuid(1, &eax, &ebx, &f.leaf1_ecx, &edx) == 0 ||
        (f.leaf1_ecx & kOsSavesExtended) == 0) {
      return Features{};
    }
    std::uint32_t high = 0;
    asm volatile("xgetbv" : "=a"(f.saved), "=d"(high) : "c"(0));
    if (__get_cpuid_count(7, 0, &eax, &f.leaf7_ebx, &f.leaf7_ecx, &edx) != 0 && eax >= 1) {
      unsigned unused = 0;
      __get_cpuid_count(7, 1, &f.leaf7_1_eax, &ebx, &unused, &edx);
    }
    return f;
  }();
  return found;
}

bool has_all(unsigned word, unsigned bits) { return (word & bits) == bits; }

bool has_avx2() {
  constexpr unsigned kFma = 1U << 12, kAvx = 1U << 28, kAvx2 = 1U << 5, kSavesYmm = 0b110;
  const Features& f = features();
  return has_all(f.leaf1_ecx, kFma | kAvx) && has_all(f.leaf7_ebx, kAvx2) &&
         has_all(f.saved, kSavesYmm);
}

bool has_avx512_vnni() {
  constexpr unsigned kF = 1U << 16, kDq = 1U << 17, kBw = 1U << 30, kVl = 1U << 31;
  constexpr unsigned kVnni = 1U << 11, kSavesZmm = 0b11100110;
  const Features& f = features();
  return has_avx2() && has_all(f.leaf7_ebx, kF | kDq | kBw | kVl) && has_all(f.leaf7_ecx, kVnni) &&
         has_all(f.saved, kSavesZmm);
}

bool has_avx512_bf16() {
  constexpr unsigned kBf16 = 1U << 5;
  return has_avx512_vnni() && has_all(features().leaf7_1_eax, kBf16);
}

// Whether the processor has tiles and the kernel lets this process use them, which it must ask for.
bool has_amx() {
  constexpr unsigned kAmxBf16 = 1U << 22, kAmxTile = 1U << 24, kAmxInt8 = 1U << 25;
  constexpr unsigned kNeeded = kAmxBf16 | kAmxTile | kAmxInt8;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!has_avx512_bf16() || __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 ||
      (edx & kNeeded) != kNeeded) {
    return false;
  }
#ifdef SYS_arch_prctl
  constexpr int kRequestPermission = 0x1023, kTileState = 18;  // Linux, asm/prctl.h
  return syscall(SYS_arch_prctl, kRequestPermission, kTileState) == 0;
#else
  return false;
#endif
}

#endif  // TWOPASS_X86

#ifdef TWOPASS_AARCH64

// Linux tells what all cores have, as bits of asm/hwcap.h, whose older versions lack some names.
// Without it there is what the compiler was told to take for granted; NEON is everywhere.
bool has_dotprod() {
#ifdef __linux__
  constexpr unsigned long kDotprod = 1UL << 20;
  return (getauxval(AT_HWCAP) & kDotprod) != 0;
#elif defined(__ARM_FEATURE_DOTPROD)
  return true;
#else
  return false;
#endif
}

bool has_i8mm() {
#ifdef __linux__
  constexpr unsigned long kI8mm = 1UL << 13, kBf16 = 1UL << 14, kNeeded = kI8mm | kBf16;
  return has_dotprod() && (getauxval(AT_HWCAP2) & kNeeded) == kNeeded;
#elif defined(__ARM_FEATURE_MATMUL_INT8) && defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
  return has_dotprod();
#else
  return false;
#endif
}

#endif  // TWOPASS_AARCH64

const KernelTable* detect(Isa isa) {
  switch (isa) {
    case Isa::kPortable:
      return &portable_kernels();
#ifdef TWOPASS_X86
    case Isa::kAvx2:
      return has_avx2() ? &avx2_kernels() : nullptr;
    case Isa::kAvx512Vnni:
      return has_avx512_vnni() ? &avx512_vnni_kernels() : nullptr;
    case Isa::kAvx512Bf16:
      return has_avx512_bf16() ? &avx512_bf16_kernels() : nullptr;
    case Isa::kAmx:
      return has_amx() ? &amx_kernels() : nullptr;
#endif
#ifdef TWOPASS_AARCH64
    case Isa::kNeon:
      return &neon_kernels();
    case Isa::kNeonDotprod:
      return has_dotprod() ? &neon_dotprod_kernels() : nullptr;
    case Isa::kNeonI8mm:
      return has_i8mm() ? &neon_i8mm_kernels() : nullptr;
#endif
    default:
      return nullptr;
  }
}

std::string supported_names() {
  std::string names;
  for (const Isa isa : supported_isas()) {
    names += (names.empty() ? "" : ", ") + std::string(name_of(isa));
  }
  return names;
}

const KernelTable& select() {
  const char* asked = std::getenv("TWOPASS_ISA");
  if (asked == nullptr || *asked == '\0') {
    return *find_kernels(supported_isas().back());
  }
  for (const Isa isa : supported_isas()) {
    if (name_of(isa) == asked) {
      return *find_kernels(isa);
    }
  }
  require(false, "TWOPASS_ISA: ", asked, " given, but this machine has ", supported_names());
  return portable_kernels();  // not reached
}

}  // namespace

std::string_view name_of(Isa isa) {
  constexpr std::array<std::string_view, kIsas.size()> kNames{
      "portable", "avx2", "avx512_vnni", "avx512_bf16", "amx", "neon", "neon_dotprod", "neon_i8mm"};
  return kNames[static_cast<std::size_t>(isa)];
}

std::vector<Isa> supported_isas() {
  std::vector<Isa> supported;
  for (const Isa isa : kIsas) {
    if (find_kernels(isa) != nullptr) {
      supported.push_back(isa);
    }
  }
  return supported;
}

Isa selected_isa() { return kernels().isa; }

const KernelTable* find_kernels(Isa isa) {
  static const std::array<const KernelTable*, kIsas.size()> tables = [] {
    std::array<const KernelTable*, kIsas.size()> found{};
    for (std::size_t i = 0; i < kIsas.size(); ++i) {
      found[i] = detect(kIsas[i]);
    }
    return found;
  }();
  return tables[static_cast<std::size_t>(isa)];
}

const KernelTable& kernels() {
  static const KernelTable& selected = select();
  return selected;
}

}  // namespace twopass
