#ifndef TWOPASS_SRC_ENCODER_HEAD_H_
#define TWOPASS_SRC_ENCODER_HEAD_H_

#include <cstddef>
#include <span>

#include "cpu/kernels.h"
#include "encoder/weights.h"

namespace twopass {

// Coefficients of the kernels' GELU, error below 5e-6 for either function.
const GeluCoefficients& gelu_coefficients(Gelu gelu);

// The logit of a sequence from the vector of its first token.
float classify(const ClassifierWeights& weights, std::span<const float> first_token);

// The mean of token vectors [num_tokens, width], scaled to length 1.
void write_embedding(const float* tokens, std::size_t num_tokens, std::size_t width,
                     float* embedding);

}  // namespace twopass

#endif  // TWOPASS_SRC_ENCODER_HEAD_H_
