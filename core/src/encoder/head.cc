#include "encoder/head.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <utility>

namespace twopass {
namespace {

// Sums in eight lanes and a fixed order, so that the compiler may use vectors of any width.
float dot(std::span<const float> a, const float* b) {
  constexpr std::size_t kLanes = 8;
  const std::size_t whole = a.size() / kLanes * kLanes;
  float sums[kLanes] = {};
  for (std::size_t i = 0; i < whole; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += a[i + lane] * b[i + lane];
    }
  }
  float sum = 0;
  for (const float lane : sums) {
    sum += lane;
  }
  for (std::size_t i = whole; i < a.size(); ++i) {
    sum += a[i] * b[i];
  }
  return sum;
}

float activated(Activation activation, float x) {
  constexpr float kSqrt2 = std::numbers::sqrt2_v<float>;
  constexpr float kSqrt2OverPi = 0.7978845608028654F;
  switch (activation) {
    case Activation::kIdentity:
      return x;
    case Activation::kGelu:
      return 0.5F * x * std::erfc(-x / kSqrt2);
    case Activation::kGeluTanh:
      return 0.5F * x * (1.0F + std::tanh(kSqrt2OverPi * (x + 0.044715F * x * x * x)));
    case Activation::kRelu:
      return std::max(x, 0.0F);
    case Activation::kSilu:
      return x / (1.0F + std::exp(-x));
    case Activation::kTanh:
      return std::tanh(x);
  }
  return x;
}

// Vectors [num_tokens, width] added up, each as often as its weight says.
template <typename Weight>
void add_up(const float* tokens, std::size_t num_tokens, std::size_t width, Weight weight_of,
            float* sum) {
  std::fill_n(sum, width, 0.0F);
  for (std::size_t token = 0; token < num_tokens; ++token, tokens += width) {
    const float weight = weight_of(token);
    for (std::size_t c = 0; c < width; ++c) {
      sum[c] += weight * tokens[c];
    }
  }
}

void pool(Pooling pooling, const float* tokens, std::size_t num_tokens, std::size_t width,
          float* pooled) {
  const auto n = static_cast<float>(num_tokens);
  const auto average = [&](auto weight_of) {
    add_up(tokens, num_tokens, width, weight_of, pooled);
  };
  switch (pooling) {
    case Pooling::kCls:
      std::copy_n(tokens, width, pooled);
      break;
    case Pooling::kLast:
      std::copy_n(tokens + (num_tokens - 1) * width, width, pooled);
      break;
    case Pooling::kMean:
      average([=](std::size_t) { return 1.0F / n; });
      break;
    case Pooling::kMeanSqrtLen:
      average([=](std::size_t) { return 1.0F / std::sqrt(n); });
      break;
    case Pooling::kWeightedMean:
      average([=](std::size_t token) {
        return static_cast<float>(token + 1) / (0.5F * n * (n + 1.0F));
      });
      break;
    case Pooling::kMax:
      std::copy_n(tokens, width, pooled);
      for (std::size_t token = 1; token < num_tokens; ++token) {
        for (std::size_t c = 0; c < width; ++c) {
          pooled[c] = std::max(pooled[c], tokens[token * width + c]);
        }
      }
      break;
  }
}

void normalize(const LayerNormWeights& norm, float epsilon, std::vector<float>& row) {
  const auto width = static_cast<float>(row.size());
  float sum = 0;
  for (const float x : row) {
    sum += x;
  }
  const float mean = sum / width;
  float squares = 0;
  for (const float x : row) {
    squares += (x - mean) * (x - mean);
  }
  const float inverse = 1.0F / std::sqrt(squares / width + epsilon);
  for (std::size_t c = 0; c < row.size(); ++c) {
    row[c] = (row[c] - mean) * inverse * norm.scale[c] + norm.shift[c];
  }
}

void scale_to_length_one(std::vector<float>& row) {
  const float inverse = 1.0F / std::max(std::sqrt(dot(row, row.data())), 1e-12F);
  for (float& x : row) {
    x *= inverse;
  }
}

}  // namespace

bool HeadWeights::reads_first_tokens_only() const {
  return std::all_of(poolings.begin(), poolings.end(),
                     [](Pooling pooling) { return pooling == Pooling::kCls; });
}

void write_result(const HeadWeights& head, const float* tokens, std::size_t num_tokens,
                  std::size_t width, float* result) {
  std::vector<float> row(head.poolings.size() * width);
  for (std::size_t i = 0; i < head.poolings.size(); ++i) {
    pool(head.poolings[i], tokens, num_tokens, width, row.data() + i * width);
  }
  for (const HeadLayer& layer : head.layers) {
    std::vector<float> next(layer.bias.size());
    for (std::size_t c = 0; c < next.size(); ++c) {
      const float* weight = layer.weight.data() + c * row.size();
      next[c] = activated(layer.activation, dot(row, weight) + layer.bias[c]);
    }
    row = std::move(next);
    if (layer.norm) {
      normalize(*layer.norm, head.norm_epsilon, row);
    }
  }
  if (head.is_embedding) {
    scale_to_length_one(row);
  }
  std::copy(row.begin(), row.end(), result);
}

}  // namespace twopass
