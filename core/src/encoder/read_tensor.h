#ifndef TWOPASS_SRC_ENCODER_READ_TENSOR_H_
#define TWOPASS_SRC_ENCODER_READ_TENSOR_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "twopass/stored_tensors.h"

namespace twopass {

// The elements of a tensor of this shape in float32, from float32, float16 or bfloat16. Throws
// ModelError, naming the tensor, where it is missing, has another shape or dtype, has fewer or more
// bytes than these need, or holds a number that is not finite: kernels take only finite ones.
std::vector<float> read_tensor(const StoredTensors& tensors, std::string_view name,
                               std::span<const std::uint64_t> shape);

}  // namespace twopass

#endif  // TWOPASS_SRC_ENCODER_READ_TENSOR_H_
