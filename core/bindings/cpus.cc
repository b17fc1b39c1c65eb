#include "twopass/cpus.h"

#include "bindings.h"

namespace twopass {

void bind_cpus(nanobind::module_& m) {
  m.def("available_cpus", &available_cpus,
        "CPUs that this process may use, at least 1: by its affinity, and by the CPU quota of its\n"
        "cgroup and those around it, rounded up.");
}

}  // namespace twopass
