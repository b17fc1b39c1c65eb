#ifndef TWOPASS_SRC_ENCODER_WEIGHTS_H_
#define TWOPASS_SRC_ENCODER_WEIGHTS_H_

#include <optional>
#include <vector>

#include "ops/linear.h"
#include "twopass/encoder.h"
#include "twopass/stored_tensors.h"

namespace twopass {

struct LayerNormWeights {
  std::vector<float> scale;  // [hidden_size]
  std::vector<float> shift;
};

struct LayerWeights {
  // One product for queries, keys and values, a head's three side by side: its columns are
  // [num_heads][3][head_dim]. Queries are divided by sqrt(head_dim) in it.
  Linear heads;
  Linear attention_output;
  LayerNormWeights attention_norm;
  Linear intermediate;
  Linear output;
  LayerNormWeights output_norm;
};

// What a reranker has above the encoder: tanh(x W^T + b) w + c over the first token, in float32.
struct ClassifierWeights {
  std::vector<float> dense;  // [hidden_size, hidden_size]
  std::vector<float> dense_bias;
  std::vector<float> projection;  // [hidden_size]
  float projection_bias;
};

struct EncoderWeights {
  std::vector<float> words;      // [vocab_size, hidden_size]
  std::vector<float> positions;  // [max_positions, hidden_size]
  std::vector<float> types;      // [type_vocab_size, hidden_size]
  LayerNormWeights embedding_norm;
  std::vector<LayerWeights> layers;
  std::optional<ClassifierWeights> classifier;  // of Output::kLogit alone
};

// Throws as PackedEncoder's constructor does.
EncoderWeights load_weights(const StoredTensors& tensors, const EncoderConfig& config,
                            Output output, Precision precision);

}  // namespace twopass

#endif  // TWOPASS_SRC_ENCODER_WEIGHTS_H_
