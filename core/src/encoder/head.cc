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
// that the largest absolute error is least.
const GeluCoefficients& gelu_coefficients(Gelu gelu) {
  static constexpr GeluCoefficients erf{
      0.14136375486850739F,    -0.07029823213815689F,  0.05152539536356926F,
      -0.040391985327005386F,  0.031356729567050934F,  -0.023624956607818604F,
      0.016910117119550705F,   -0.010165438055992126F, 0.005113293882459402F,
      -0.0038868950214236975F, 0.0031944450456649065F, -0.0010963439708575606F};
  static constexpr GeluCoefficients tanh{
      0.1413784772157669F,    -0.07036789506673813F,  0.05166187882423401F,
      -0.040487341582775116F, 0.031262192875146866F,  -0.02340037189424038F,
      0.01655721105635166F,   -0.009388928301632404F, 0.004436856135725975F,
      -0.004335513338446617F, 0.0041665066964924335F, -0.0014831648441031575F};
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
