#ifndef TWOPASS_SRC_CPU_TABLES_H_
#define TWOPASS_SRC_CPU_TABLES_H_

#include "cpu/kernels.h"

namespace twopass {

// Each is defined in a translation unit that is compiled for its instruction set; calling a kernel
// of it elsewhere is an illegal instruction. There are those of the processor that TWOPASS_X86 or
// TWOPASS_AARCH64 names, if either is defined.
const KernelTable& portable_kernels();
const KernelTable& avx2_kernels();
const KernelTable& avx512_vnni_kernels();
const KernelTable& avx512_bf16_kernels();
const KernelTable& amx_kernels();
const KernelTable& neon_kernels();
const KernelTable& neon_dotprod_kernels();
const KernelTable& neon_i8mm_kernels();

}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_TABLES_H_
