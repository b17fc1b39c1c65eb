#include "cpu/table_of.h"
#include "cpu/tables.h"
#include "cpu/vec_neon.h"

namespace twopass {

const KernelTable& neon_kernels() {
  static constexpr KernelTable table = [] {
    KernelTable kernels = table_of<Neon, SignedInt8Product<Neon>>(Isa::kNeon);
    kernels.transpose_words = transpose_words_neon;
    return kernels;
  }();
  return table;
}

}  // namespace twopass
