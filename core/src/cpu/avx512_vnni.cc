#include "cpu/table_of.h"
#include "cpu/tables.h"
#include "cpu/vec_avx512.h"

namespace twopass {

const KernelTable& avx512_vnni_kernels() {
  static constexpr KernelTable table = [] {
    KernelTable kernels = table_of<Avx512Vnni>(Isa::kAvx512Vnni);
    kernels.transpose_words = transpose_words_avx512;
    return kernels;
  }();
  return table;
}

}  // namespace twopass
