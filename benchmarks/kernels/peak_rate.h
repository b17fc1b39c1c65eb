#ifndef TWOPASS_BENCHMARKS_PEAK_RATE_H_
#define TWOPASS_BENCHMARKS_PEAK_RATE_H_

#include <time.h>

#include <algorithm>

namespace twopass {
namespace {

constexpr int kSteps = 200'000;

inline double seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Operations a second of a function that does kSteps steps; the best of many.
template <typename Function>
double rate(double operations_a_step, Function function) {
  double best = 0;
  for (int round = 0; round < 10; ++round) {
    const double began = seconds();
    function();
    best = std::max(best, 1e-9 * operations_a_step * kSteps / (seconds() - began));
  }
  return best;
}

}  // namespace
}  // namespace twopass

#endif  // TWOPASS_BENCHMARKS_PEAK_RATE_H_
