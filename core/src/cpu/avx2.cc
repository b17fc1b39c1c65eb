#include "cpu/table_of.h"
#include "cpu/tables.h"
#include "cpu/vec_avx2.h"

namespace twopass {

const KernelTable& avx2_kernels() {
  static constexpr KernelTable table = table_of<Avx2>(Isa::kAvx2);
  return table;
}

}  // namespace twopass
