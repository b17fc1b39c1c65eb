#include "cpu/gemm_mmla.h"
#include "cpu/table_of.h"
#include "cpu/tables.h"
#include "cpu/vec_neon.h"

namespace twopass {

const KernelTable& neon_i8mm_kernels() {
  static constexpr KernelTable table = [] {
    KernelTable kernels = table_of<NeonI8mm, SignedInt8Product<NeonI8mm>>(Isa::kNeonI8mm);
    kernels.has_fast_bf16 = true;
    kernels.int8_run = kMmlaInt8Run;
    kernels.gemm_bf16 = multiply_mmla<NeonI8mm, MmlaBf16<NeonI8mm>>;
    kernels.gemm_int8 = multiply_mmla<NeonI8mm, MmlaInt8<NeonI8mm>>;
    kernels.transpose_words = transpose_words_neon;
    return kernels;
  }();
  return table;
}

}  // namespace twopass
