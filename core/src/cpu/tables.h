#ifndef TWOPASS_SRC_CPU_TABLES_H_
#define TWOPASS_SRC_CPU_TABLES_H_

#include "cpu/kernels.h"

namespace twopass {

// Each is defined in a translation unit that is compiled for its instruction set; calling a kernel
// of it elsewhere is an illegal instruction. TWOPASS_X86 says whether those after the first exist.
const KernelTable& portable_kernels();
const KernelTable& avx2_kernels();
const KernelTable& avx512_vnni_kernels();
const KernelTable& avx512_bf16_kernels();
const KernelTable& amx_kernels();

}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_TABLES_H_
