#include "cpu/table_of.h"
#include "cpu/tables.h"
#include "cpu/vec_portable.h"

namespace twopass {

const KernelTable& portable_kernels() {
  static constexpr KernelTable table = table_of<Portable>(Isa::kPortable);
  return table;
}

}  // namespace twopass
