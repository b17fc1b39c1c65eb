#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "cpu/cgroup.h"
#include "twopass/cpus.h"

#ifdef __linux__
#include <sched.h>
#endif

namespace twopass {
namespace {

std::size_t num_affine_cpus() {
#ifdef __linux__
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof cpus, &cpus) == 0) {
    return static_cast<std::size_t>(CPU_COUNT(&cpus));
  }
#endif
  return std::thread::hardware_concurrency();
}

std::string text_of(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::size_t available_cpus() {
  const std::size_t affine = num_affine_cpus();
  const double quota = std::ceil(cgroup_quota("/sys/fs/cgroup", text_of("/proc/self/cgroup")));
  const bool is_limited = quota < static_cast<double>(affine);
  return std::max<std::size_t>(1, is_limited ? static_cast<std::size_t>(quota) : affine);
}

}  // namespace twopass
