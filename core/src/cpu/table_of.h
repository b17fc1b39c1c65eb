#ifndef TWOPASS_SRC_CPU_TABLE_OF_H_
#define TWOPASS_SRC_CPU_TABLE_OF_H_

#include "cpu/gemm.h"
#include "cpu/kernels.h"
#include "cpu/rows.h"

namespace twopass {
namespace {  // each translation unit compiles this for its own instruction set

// The table of a vector type, its int8 product given; tables of its relatives start from it.
template <typename V, typename Int8 = Int8Product<V>>
constexpr KernelTable table_of(Isa isa) {
  return KernelTable{
      .isa = isa,
      .has_fast_bf16 = false,
      .int8_run = 4,
      .begin = []() noexcept {},
      .end = []() noexcept {},
      .gemm_f32 = multiply<V, F32Product<V>>,
      .gemm_bf16 = multiply<V, Bf16Product<V>>,
      .gemm_int8 = multiply<V, Int8>,
      .quantize_rows = quantize_rows<V>,
      .round_rows = round_rows<V>,
      .layer_norm = layer_norm<V>,
      .exp_rows_f32 = exp_rows<V, float>,
      .exp_rows_bf16 = exp_rows<V, std::uint16_t>,
      .rotate_rows = rotate_rows<V>,
      .scale_rows = scale_rows<V>,
      .transpose_words = transpose_words,
      .interleave_bf16 = interleave_bf16<V>,
  };
}

}  // namespace
}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_TABLE_OF_H_
