#ifndef TWOPASS_SRC_ENCODER_HEAD_H_
#define TWOPASS_SRC_ENCODER_HEAD_H_

#include <cstddef>
#include <optional>
#include <vector>

#include "twopass/encoder.h"

namespace twopass {

struct LayerNormWeights {
  std::vector<float> scale;  // [width]
  std::vector<float> shift;
};

// activation(x W^T + b), then perhaps a LayerNorm, in float32.
struct HeadLayer {
  std::vector<float> weight;  // [output_size, input_size]
  std::vector<float> bias;
  Activation activation;
  std::optional<LayerNormWeights> norm;
};

// What makes a sequence's result of its token vectors: poolings side by side, then layers.
struct HeadWeights {
  std::vector<Pooling> poolings;
  std::vector<HeadLayer> layers;
  float norm_epsilon;
  bool is_embedding;  // scaled to length 1

  bool reads_first_tokens_only() const;
};

// The result of a sequence from its token vectors [num_tokens, width]; the first one's alone, where
// nothing else is read.
void write_result(const HeadWeights& head, const float* tokens, std::size_t num_tokens,
                  std::size_t width, float* result);

}  // namespace twopass

#endif  // TWOPASS_SRC_ENCODER_HEAD_H_
