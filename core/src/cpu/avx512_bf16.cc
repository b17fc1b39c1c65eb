#include "cpu/table_of.h"
#include "cpu/tables.h"
#include "cpu/vec_avx512.h"

namespace twopass {

const KernelTable& avx512_bf16_kernels() {
  static constexpr KernelTable table = [] {
    KernelTable kernels = table_of<Avx512Bf16>(Isa::kAvx512Bf16);
    kernels.has_fast_bf16 = true;
    kernels.transpose_words = transpose_words_avx512;
    return kernels;
  }();
  return table;
}

}  // namespace twopass
