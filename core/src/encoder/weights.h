#ifndef TWOPASS_SRC_ENCODER_WEIGHTS_H_
#define TWOPASS_SRC_ENCODER_WEIGHTS_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "encoder/head.h"
#include "ops/linear.h"
#include "twopass/encoder.h"
#include "twopass/stored_tensors.h"

namespace twopass {

struct LayerWeights {
  std::optional<LayerNormWeights> attention_norm;  // none before pre-norm's first layer, perhaps
  // One product for queries, keys and values, a head's three side by side: its columns are
  // [num_heads][3][head_dim]. Queries are divided by sqrt(head_dim) in it.
  Linear heads;
  Linear attention_output;
  LayerNormWeights mlp_norm;
  // Gated, 16 columns of gates and what these let through take turns, as kernels want it.
  Linear up;
  Linear down;
  // [max_seq_len, 2, head_dim / 2] cosines and sines of rotary positions; null without these.
  // Layers of the same frequencies share them.
  std::shared_ptr<const std::vector<float>> turns;
};

struct EncoderWeights {
  std::vector<float> words;      // [vocab_size, embedding_size]
  std::vector<float> positions;  // [num_positions, embedding_size]
  std::vector<float> types;      // [type_vocab_size, embedding_size]
  LayerNormWeights embedding_norm;
  std::optional<Linear> embedding_projection;
  std::vector<LayerWeights> layers;
  std::optional<LayerNormWeights> final_norm;
  // What heads add to scores by the distance from query to key: [num_heads, relative_stride], a
  // head's distance 0 in column max_seq_len - 1. Empty without such biases.
  std::vector<float> relative_biases;
  std::size_t relative_stride = 0;
  HeadWeights head;
};

// Width of the MLP's inner activations here: intermediate_size up to a multiple of 64.
std::size_t intermediate_width(const EncoderConfig& config);

// Likewise of embeddings on their way to a projection.
std::size_t embedding_width(const EncoderConfig& config);

// Packs weights for these kernels. Throws as PackedEncoder's constructor does.
EncoderWeights load_weights(const KernelTable& kernels, const StoredTensors& tensors,
                            const EncoderConfig& config, const Head& head, Precision precision);

}  // namespace twopass

#endif  // TWOPASS_SRC_ENCODER_WEIGHTS_H_
