#include "encoder/read_tensor.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <string>

#include "twopass/errors.h"

namespace twopass {
namespace {

float from_f16(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1fU;
  const std::uint32_t fraction = half & 0x3ffU;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t biased = exponent == 0x1f ? 0xffU : exponent + 127 - 15;
  return std::bit_cast<float>(sign | (biased << 23) | (fraction << 13));
}

float from_bf16(std::uint16_t half) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
}

// Elements are copied out of the bytes, which need not be aligned to them.
template <typename Stored, typename Convert>
std::vector<float> convert(const StoredTensor& tensor, std::size_t num_elements,
                           const std::string& where, Convert to_float) {
  if (tensor.bytes.size() != num_elements * sizeof(Stored)) {
    throw ModelError(where + " holds " + std::to_string(tensor.bytes.size()) +
                     " bytes, its shape and dtype need " +
                     std::to_string(num_elements * sizeof(Stored)));
  }
  std::vector<float> elements(num_elements);
  for (std::size_t i = 0; i < num_elements; ++i) {
    Stored stored;
    std::memcpy(&stored, tensor.bytes.data() + i * sizeof stored, sizeof stored);
    elements[i] = to_float(stored);
  }
  return elements;
}

std::vector<float> to_float32(const StoredTensor& tensor, std::size_t num_elements,
                              const std::string& where) {
  if (tensor.dtype == "F32") {
    return convert<float>(tensor, num_elements, where, [](float value) { return value; });
  }
  if (tensor.dtype == "F16") {
    return convert<std::uint16_t>(tensor, num_elements, where, from_f16);
  }
  if (tensor.dtype == "BF16") {
    return convert<std::uint16_t>(tensor, num_elements, where, from_bf16);
  }
  throw ModelError(where + " is " + tensor.dtype + ", not float32, float16 or bfloat16");
}

std::string listed(std::span<const std::uint64_t> sizes) {
  std::string list;
  for (const std::uint64_t size : sizes) {
    list += (list.empty() ? "" : ", ") + std::to_string(size);
  }
  return list;
}

}  // namespace

std::vector<float> read_tensor(const StoredTensors& tensors, std::string_view name,
                               std::span<const std::uint64_t> shape) {
  const std::string where = "tensor " + std::string(name);
  const auto found = tensors.find(name);
  if (found == tensors.end()) {
    throw ModelError(where + " is missing");
  }
  const StoredTensor& tensor = found->second;
  if (!std::equal(tensor.shape.begin(), tensor.shape.end(), shape.begin(), shape.end())) {
    throw ModelError(where + " has the shape [" + listed(tensor.shape) +
                     "], which config.json contradicts: it needs [" + listed(shape) + "]");
  }
  std::size_t num_elements = 1;
  for (const std::uint64_t size : shape) {
    num_elements *= size;
  }
  std::vector<float> elements = to_float32(tensor, num_elements, where);
  if (!std::all_of(elements.begin(), elements.end(), [](float x) { return std::isfinite(x); })) {
    throw ModelError(where + " holds a number that is not finite; the file is damaged");
  }
  return elements;
}

}  // namespace twopass
