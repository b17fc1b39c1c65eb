#ifndef TWOPASS_SRC_CPU_CGROUP_H_
#define TWOPASS_SRC_CPU_CGROUP_H_

#include <filesystem>
#include <string>

namespace twopass {

// CPUs that a process may use by the quotas of its cgroup and all those around it, of version 1 or
// 2; infinity where none is set.
//   mount       where cgroups are mounted: /sys/fs/cgroup
//   membership  the text of /proc/self/cgroup
double cgroup_quota(const std::filesystem::path& mount, const std::string& membership);

}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_CGROUP_H_
