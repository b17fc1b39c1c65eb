#include "cpu/cgroup.h"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "check.h"
#include "twopass/cpus.h"

namespace twopass {
namespace {

namespace fs = std::filesystem;

// A folder in the place of /sys/fs/cgroup.
class Mount {
 public:
  Mount() : path_(fs::temp_directory_path() / ("twopass-cgroup-" + std::to_string(getpid()))) {
    fs::remove_all(path_);
  }
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;
  ~Mount() { fs::remove_all(path_); }

  void write(const std::string& file, const std::string& text) const {
    fs::create_directories((path_ / file).parent_path());
    std::ofstream(path_ / file) << text;
  }
  double quota(const std::string& membership) const { return cgroup_quota(path_, membership); }

 private:
  fs::path path_;
};

TEST(without_a_quota_there_is_no_limit) {
  const Mount mount;
  CHECK(std::isinf(mount.quota("0::/\n")));
  mount.write("cpu.max", "max 100000\n");
  CHECK(std::isinf(mount.quota("0::/\n")));
  CHECK(std::isinf(mount.quota("")));
  CHECK(std::isinf(mount.quota("no line of a cgroup\n:\n")));
}

TEST(a_containers_quota_is_at_the_mount) {
  const Mount mount;
  mount.write("cpu.max", "150000 100000\n");
  CHECK(mount.quota("0::/\n") == 1.5);
  CHECK(mount.quota("0::/of/the/host\n") == 1.5);  // the host's path, which is not seen inside
}

TEST(the_smallest_quota_from_the_own_group_up_counts) {
  const Mount mount;
  mount.write("system.slice/cpu.max", "400000 100000\n");
  mount.write("system.slice/twopass.service/cpu.max", "max 100000\n");
  CHECK(mount.quota("0::/system.slice/twopass.service\n") == 4);
  mount.write("system.slice/twopass.service/cpu.max", "250000 100000\n");
  CHECK(mount.quota("0::/system.slice/twopass.service\n") == 2.5);
  mount.write("system.slice/cpu.max", "100000 100000\n");
  CHECK(mount.quota("0::/system.slice/twopass.service\n") == 1);
  CHECK(std::isinf(mount.quota("0::/user.slice\n")));
}

TEST(version_1_is_read_where_the_cpu_controller_is) {
  const Mount mount;
  mount.write("cpu/docker/a/cpu.cfs_quota_us", "300000\n");
  mount.write("cpu/docker/a/cpu.cfs_period_us", "100000\n");
  mount.write("cpu/cpu.cfs_quota_us", "-1\n");
  mount.write("cpu/cpu.cfs_period_us", "100000\n");
  CHECK(mount.quota("5:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n0::/docker/a\n") == 3);
  CHECK(std::isinf(mount.quota("4:cpuset:/docker/a\n")));
}

TEST(damaged_files_set_no_limit) {
  const Mount mount;
  for (const char* text : {"", "100000", "0 100000", "-5 100000", "100000 0", "much more"}) {
    mount.write("cpu.max", text);
    CHECK(std::isinf(mount.quota("0::/\n")));
  }
}

TEST(there_is_a_cpu_to_use) { CHECK(available_cpus() >= 1); }

}  // namespace
}  // namespace twopass
