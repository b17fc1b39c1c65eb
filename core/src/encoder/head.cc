#include "encoder/head.h"

#include <algorithm>
#include <cmath>

namespace twopass {
namespace {

// Sums in eight lanes and a fixed order, so that the compiler may use vectors of any width.
float dot(std::span<const float> a, const float* b) {
  constexpr std::size_t kLanes = 8;
  float sums[kLanes] = {};
  for (std::size_t i = 0; i < a.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += a[i + lane] * b[i + lane];
    }
  }
  float sum = 0;
  for (const float lane : sums) {
    sum += lane;
  }
  return sum;
}

}  // namespace

// Fitted to x Phi(x) - x/2 on [-5, 5] by iteratively reweighted least squares (Lawson 1961), so
// that the largest absolute error is least, among the polynomials with p(1) = 1/10: with these
// Phi is 1 and 0 beyond the bounds, and the error does not grow with x.
const GeluCoefficients& gelu_coefficients(Gelu gelu) {
  static constexpr GeluCoefficients erf{
      0.14136375486850739F,   -0.0702984407544136F,   0.05152461677789688F,
      -0.04038664326071739F,  0.031365036964416504F,  -0.02366187795996666F,
      0.016880294308066368F,  -0.010063489899039268F, 0.005155764054507017F,
      -0.004007933661341667F, 0.0031737484969198704F, -0.0010448334505781531F};
  static constexpr GeluCoefficients tanh{
      0.1413784772157669F,    -0.07036800682544708F,  0.05166145786643028F,
      -0.040484391152858734F, 0.0312667042016983F,    -0.02342098392546177F,
      0.01654086261987686F,   -0.009331456385552883F, 0.0044603245332837105F,
      -0.00440435903146863F,  0.004154990427196026F,  -0.0014536267844960093F};
  return gelu == Gelu::kErf ? erf : tanh;
}

float classify(const ClassifierWeights& weights, std::span<const float> first_token) {
  const std::size_t width = first_token.size();
  float logit = weights.projection_bias;
  for (std::size_t i = 0; i < width; ++i) {
    const float pooled =
        std::tanh(dot(first_token, weights.dense.data() + i * width) + weights.dense_bias[i]);
    logit += pooled * weights.projection[i];
  }
  return logit;
}

void write_embedding(const float* tokens, std::size_t num_tokens, std::size_t width,
                     float* embedding) {
  // The sum points where the mean does.
  std::copy_n(tokens, width, embedding);
  for (std::size_t token = 1; token < num_tokens; ++token) {
    for (std::size_t c = 0; c < width; ++c) {
      embedding[c] += tokens[token * width + c];
    }
  }
  const float length = std::sqrt(dot({embedding, width}, embedding));
  const float inverse = 1.0F / std::max(length, 1e-12F);
  for (std::size_t c = 0; c < width; ++c) {
    embedding[c] *= inverse;
  }
}

}  // namespace twopass
