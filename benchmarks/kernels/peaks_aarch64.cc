#include <arm_neon.h>

#include "peak_rate.h"
#include "peaks.h"

namespace twopass {
namespace {

// Twelve independent sums hide an instruction's latency. The asm keeps them apart and alive, and
// tells the assembler of the architecture, whatever the compiler was told.
#define TWOPASS_PEAK(name, architecture, Vector, instruction, lanes)                               \
  void name() {                                                                                    \
    Vector a{}, b{}, s0{}, s1{}, s2{}, s3{}, s4{}, s5{}, s6{}, s7{}, s8{}, s9{}, s10{}, s11{};     \
    for (int i = 0; i < kSteps; ++i) {                                                             \
      asm volatile(                                                                                \
          architecture TWOPASS_STEP(instruction, lanes, "0") TWOPASS_STEP(instruction, lanes, "1") \
              TWOPASS_STEP(instruction, lanes, "2") TWOPASS_STEP(instruction, lanes, "3")          \
                  TWOPASS_STEP(instruction, lanes, "4") TWOPASS_STEP(instruction, lanes, "5")      \
                      TWOPASS_STEP(instruction, lanes, "6") TWOPASS_STEP(instruction, lanes, "7")  \
                          TWOPASS_STEP(instruction, lanes, "8") TWOPASS_STEP(                      \
                              instruction, lanes, "9") TWOPASS_STEP(instruction, lanes, "10")      \
                              TWOPASS_STEP(instruction, lanes, "11")                               \
          : "+w"(s0), "+w"(s1), "+w"(s2), "+w"(s3), "+w"(s4), "+w"(s5), "+w"(s6), "+w"(s7),        \
            "+w"(s8), "+w"(s9), "+w"(s10), "+w"(s11)                                               \
          : "w"(a), "w"(b));                                                                       \
    }                                                                                              \
  }
#define TWOPASS_STEP(instruction, lanes, sum) \
  instruction " %" sum ".4s, %12." lanes ", %13." lanes "\n"

TWOPASS_PEAK(fmla, "", float32x4_t, "fmla", "4s")
TWOPASS_PEAK(sdot, ".arch armv8.2-a+dotprod\n", int32x4_t, "sdot", "16b")
TWOPASS_PEAK(usmmla, ".arch armv8.2-a+i8mm\n", int32x4_t, "usmmla", "16b")
TWOPASS_PEAK(bfmmla, ".arch armv8.2-a+bf16\n", float32x4_t, "bfmmla", "8h")
#undef TWOPASS_STEP
#undef TWOPASS_PEAK

// Four instructions for the sixteen products that smull, smull2, addp and sadalp make of two
// vectors of bytes.
void widened() {
  int32x4_t s0{}, s1{}, s2{}, s3{}, s4{}, s5{};
  int8x16_t a{}, b{};
  for (int i = 0; i < kSteps; ++i) {
#define TWOPASS_STEP(sum)                                       \
  "smull v16.8h, %6.8b, %7.8b\nsmull2 v17.8h, %6.16b, %7.16b\n" \
  "addp v16.8h, v16.8h, v17.8h\nsadalp %" sum ".4s, v16.8h\n"
    asm volatile(TWOPASS_STEP("0") TWOPASS_STEP("1") TWOPASS_STEP("2") TWOPASS_STEP("3")
                     TWOPASS_STEP("4") TWOPASS_STEP("5")
                 : "+w"(s0), "+w"(s1), "+w"(s2), "+w"(s3), "+w"(s4), "+w"(s5)
                 : "w"(a), "w"(b)
                 : "v16", "v17");
#undef TWOPASS_STEP
  }
}

}  // namespace

// Operations are two a product, of which an instruction makes 4, 16, 32 and 16 in turn.
Peaks measure_peaks(Isa isa) {
  const double f32 = rate(12 * 8, fmla);
  switch (isa) {
    case Isa::kNeonI8mm:
      return {rate(12 * 64, usmmla), rate(12 * 32, bfmmla), f32};
    case Isa::kNeonDotprod:
      return {rate(12 * 32, sdot), f32, f32};
    default:
      return {rate(6 * 32, widened), f32, f32};
  }
}

}  // namespace twopass
