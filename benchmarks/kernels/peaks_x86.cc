#include <immintrin.h>

#include "peak_rate.h"
#include "peaks.h"

namespace twopass {
namespace {

// Ten independent sums hide an instruction's latency. The asm keeps them apart and alive.
#define TWOPASS_PEAK(name, features, Vector, constraint, instruction)                      \
  __attribute__((target(features))) void name() {                                          \
    Vector a{}, b{}, s0{}, s1{}, s2{}, s3{}, s4{}, s5{}, s6{}, s7{}, s8{}, s9{};           \
    for (int i = 0; i < kSteps; ++i) {                                                     \
      asm volatile(instruction " %11, %10, %0\n" instruction " %11, %10, %1\n" instruction \
                               " %11, %10, %2\n" instruction " %11, %10, %3\n" instruction \
                               " %11, %10, %4\n" instruction " %11, %10, %5\n" instruction \
                               " %11, %10, %6\n" instruction " %11, %10, %7\n" instruction \
                               " %11, %10, %8\n" instruction " %11, %10, %9\n"             \
                   : "+" constraint(s0), "+" constraint(s1), "+" constraint(s2),           \
                     "+" constraint(s3), "+" constraint(s4), "+" constraint(s5),           \
                     "+" constraint(s6), "+" constraint(s7), "+" constraint(s8),           \
                     "+" constraint(s9)                                                    \
                   : constraint(a), constraint(b));                                        \
    }                                                                                      \
  }

TWOPASS_PEAK(fma_256, "avx2,fma", __m256, "x", "vfmadd231ps")
TWOPASS_PEAK(madd_256, "avx2", __m256i, "x", "vpmaddwd")
TWOPASS_PEAK(fma_512, "avx512f", __m512, "v", "vfmadd231ps")
TWOPASS_PEAK(vnni_512, "avx512f,avx512vnni", __m512i, "v", "vpdpbusd")
TWOPASS_PEAK(bf16_512, "avx512f,avx512bf16", __m512, "v", "vdpbf16ps")
#undef TWOPASS_PEAK

struct alignas(64) TileConfig {
  unsigned char palette = 1, start_row = 0, reserved[14] = {};
  unsigned short column_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  unsigned char rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

__attribute__((target("amx-tile,amx-int8,amx-bf16"))) void amx_int8() {
  for (int i = 0; i < kSteps; ++i) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
}

__attribute__((target("amx-tile,amx-int8,amx-bf16"))) void amx_bf16() {
  for (int i = 0; i < kSteps; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
}

__attribute__((target("amx-tile"))) void begin_tiles() {
  static const TileConfig config;
  _tile_loadconfig(&config);
}

}  // namespace

Peaks measure_peaks(Isa isa) {
  switch (isa) {
    case Isa::kAmx: {
      begin_tiles();
      const double f32 = rate(10 * 32, fma_512);
      return {rate(4 * 2 * 16 * 16 * 64, amx_int8), rate(4 * 2 * 16 * 16 * 32, amx_bf16), f32};
    }
    case Isa::kAvx512Bf16:
      return {rate(10 * 128, vnni_512), rate(10 * 64, bf16_512), rate(10 * 32, fma_512)};
    case Isa::kAvx512Vnni: {
      const double f32 = rate(10 * 32, fma_512);
      return {rate(10 * 128, vnni_512), f32, f32};
    }
    default: {  // bytes are widened to 16 bits; bfloat16 to float32
      const double f32 = rate(10 * 16, fma_256);
      return {rate(10 * 32, madd_256), f32, f32};
    }
  }
}

}  // namespace twopass
