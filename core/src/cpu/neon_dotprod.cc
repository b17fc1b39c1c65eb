#include "cpu/table_of.h"
#include "cpu/tables.h"
#include "cpu/vec_neon.h"

namespace twopass {

const KernelTable& neon_dotprod_kernels() {
  static constexpr KernelTable table = [] {
    KernelTable kernels = table_of<NeonDotprod, SignedInt8Product<NeonDotprod>>(Isa::kNeonDotprod);
    kernels.transpose_words = transpose_words_neon;
    return kernels;
  }();
  return table;
}

}  // namespace twopass
