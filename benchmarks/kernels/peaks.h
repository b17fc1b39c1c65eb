#ifndef TWOPASS_BENCHMARKS_PEAKS_H_
#define TWOPASS_BENCHMARKS_PEAKS_H_

#include "twopass/isa.h"

namespace twopass {

// The fastest this thread runs a set's multiply-add instructions on registers alone, in 10^9
// operations a second, a multiply-add counting as two.
struct Peaks {
  double int8;
  double bf16;
  double f32;
};

Peaks measure_peaks(Isa isa);

}  // namespace twopass

#endif  // TWOPASS_BENCHMARKS_PEAKS_H_
