#include "cpu/gemm_amx.h"
#include "cpu/table_of.h"
#include "cpu/tables.h"
#include "cpu/vec_avx512.h"

namespace twopass {

const KernelTable& amx_kernels() {
  static constexpr KernelTable table = [] {
    KernelTable kernels = table_of<Avx512Bf16>(Isa::kAmx);
    kernels.has_fast_bf16 = true;
    kernels.begin = begin_tiles;
    kernels.end = end_tiles;
    kernels.gemm_bf16 = multiply_amx<Avx512Bf16, AmxBf16>;
    kernels.gemm_int8 = multiply_amx<Avx512Bf16, AmxInt8>;
    kernels.transpose_words = transpose_words_avx512;
    return kernels;
  }();
  return table;
}

}  // namespace twopass
