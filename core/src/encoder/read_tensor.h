#ifndef TWOPASS_SRC_ENCODER_READ_TENSOR_H_
#define TWOPASS_SRC_ENCODER_READ_TENSOR_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "twopass/stored_tensors.h"

namespace twopass {

// The elements of a tensor of this shape in float32, from float32, float16 or bfloat16. Throws
// ModelError, naming the tensor, where there is none, where it has another shape or dtype or fewer
// or more bytes than these say, and where a number is not finite: kernels take finite ones alone.
std::vector<float> read_tensor(const StoredTensors& tensors, std::string_view name,
                               std::span<const std::uint64_t> shape);

}  // namespace twopass

#endif  // TWOPASS_SRC_ENCODER_READ_TENSOR_H_
