#ifndef TWOPASS_STORED_TENSORS_H_
#define TWOPASS_STORED_TENSORS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace twopass {

// A tensor as a checkpoint stores it. The bytes are unowned.
struct StoredTensor {
  std::string dtype;  // in the words of safetensors: "F32", "F16", "BF16", "I64", ...
  std::vector<std::uint64_t> shape;
  std::span<const std::byte> bytes;  // row-major and little-endian, of any alignment
};

// The tensors of a checkpoint by the names they have in Hugging Face's BertModel or RobertaModel,
// without the prefix that exports of larger models put before them.
using StoredTensors = std::map<std::string, StoredTensor, std::less<>>;

}  // namespace twopass

#endif  // TWOPASS_STORED_TENSORS_H_
