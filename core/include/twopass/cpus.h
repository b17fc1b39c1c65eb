#ifndef TWOPASS_CPUS_H_
#define TWOPASS_CPUS_H_

#include <cstddef>

namespace twopass {

// CPUs that this process may use, at least 1: those of its affinity, or fewer where the CPU quota
// of its cgroup, or of one around it, is smaller. A quota of 1.5 CPUs counts as 2.
std::size_t available_cpus();

}  // namespace twopass

#endif  // TWOPASS_CPUS_H_
