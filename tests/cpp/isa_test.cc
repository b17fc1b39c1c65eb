#include "twopass/isa.h"

#include <cstdlib>
#include <stdexcept>

#include "check.h"
#include "cpu/kernels.h"

namespace twopass {
namespace {

TEST(portable_kernels_are_everywhere_and_better_ones_come_after) {
  const std::vector<Isa> isas = supported_isas();
  CHECK(isas.front() == Isa::kPortable);
  for (std::size_t i = 0; i < isas.size(); ++i) {
    CHECK(find_kernels(isas[i])->isa == isas[i]);
    CHECK(i == 0 || isas[i - 1] < isas[i]);
  }
}

// What is chosen first stays; so the refusals come before it.
TEST(the_environment_chooses_among_supported_sets_and_may_not_name_another) {
  setenv("TWOPASS_ISA", "mmx", 1);
  CHECK_THROWS(std::invalid_argument, "TWOPASS_ISA: mmx given, but this machine has portable",
               kernels());
  CHECK_THROWS(std::invalid_argument, "TWOPASS_ISA: mmx", selected_isa());
  setenv("TWOPASS_ISA", "portable", 1);
  CHECK(&kernels() == find_kernels(Isa::kPortable));
  CHECK(name_of(selected_isa()) == "portable");
  setenv("TWOPASS_ISA", "mmx", 1);
  CHECK(selected_isa() == Isa::kPortable);
}

}  // namespace
}  // namespace twopass
