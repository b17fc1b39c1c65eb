#include "cpu/cgroup.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>

namespace twopass {
namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

// One line of /proc/self/cgroup, "12:cpu,cpuacct:/a/b". Version 2 has one line, "0::/a/b".
struct Membership {
  std::string controllers;
  std::filesystem::path path;  // relative to the mount
};

Membership parse(const std::string& line) {
  const std::size_t first = line.find(':');
  const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
  if (second == std::string::npos) {
    return {"none", {}};
  }
  return {line.substr(first + 1, second - first - 1),
          std::filesystem::path(line.substr(second + 1)).relative_path()};
}

// Version 1 mounts each controller by itself; its folder bears the controller's name.
bool names_cpu(const std::string& controllers) {
  return ("," + controllers + ",").find(",cpu,") != std::string::npos;
}

double ratio(double quota, double period) {
  return quota > 0 && period > 0 ? quota / period : kNoLimit;
}

// Version 2 says "quota period" or "max period", in microseconds.
double quota_v2(const std::filesystem::path& folder) {
  double quota = 0;
  double period = 0;
  return std::ifstream(folder / "cpu.max") >> quota >> period ? ratio(quota, period) : kNoLimit;
}

// Version 1 has a file for either, and -1 for no quota.
double quota_v1(const std::filesystem::path& folder) {
  double quota = 0;
  double period = 0;
  const bool is_read = std::ifstream(folder / "cpu.cfs_quota_us") >> quota &&
                       std::ifstream(folder / "cpu.cfs_period_us") >> period;
  return is_read ? ratio(quota, period) : kNoLimit;
}

}  // namespace

double cgroup_quota(const std::filesystem::path& mount, const std::string& membership) {
  double limit = kNoLimit;
  std::istringstream lines(membership);
  for (std::string line; std::getline(lines, line);) {
    const Membership member = parse(line);
    const bool is_v2 = member.controllers.empty();
    if (!is_v2 && !names_cpu(member.controllers)) {
      continue;
    }
    const std::filesystem::path root = is_v2 ? mount : mount / "cpu";
    // Up to the mount itself, which in a container is the container's own cgroup.
    for (std::filesystem::path path = member.path;; path = path.parent_path()) {
      limit = std::min(limit, is_v2 ? quota_v2(root / path) : quota_v1(root / path));
      if (path.empty()) {
        break;
      }
    }
  }
  return limit;
}

}  // namespace twopass
