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

// The tensors of a checkpoint by their canonical names, which are the same for every family; with
// .weight and .bias, where N counts layers:
//     embeddings.words, .positions, .types (tables, without bias), .norm, .projection
//     layers.N.attention.query, .key, .value, .output    layers.N.attention_norm
//     layers.N.mlp.up, .gate, .down                      layers.N.mlp_norm
//     final_norm    head.dense, .norm, .projection       embedding.dense.N
// and relative_bias [num_heads, 2 * distance + 1]: what a key at j adds to the score of a query at
// i is in column clip(j - i, -distance, distance) + distance. Weights are [out, in]. A bias that a
// family leaves out is there, as zeros.
using StoredTensors = std::map<std::string, StoredTensor, std::less<>>;

}  // namespace twopass

#endif  // TWOPASS_STORED_TENSORS_H_
