#include "encoder/weights.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <variant>

#include "encoder/read_tensor.h"
#include "twopass/errors.h"

namespace twopass {
namespace {

using Shape = std::initializer_list<std::uint64_t>;

// Larger heads would need other blocks of attention.
constexpr std::int64_t kMaxHeadDim = 256;

template <typename... Parts>
void require_supported(bool condition, const Parts&... parts) {
  if (!condition) {
    std::ostringstream message;
    (message << ... << parts);
    throw UnsupportedModelError(message.str());
  }
}

void check_sizes(const EncoderConfig& config) {
  const auto in_range = [](const char* name, std::int64_t value, std::int64_t least,
                           std::int64_t most) {
    require_supported(value >= least && value <= most, name, ": ", value, " given, ", least, " to ",
                      most);
  };
  in_range("hidden_size", config.hidden_size, 1, 4096);
  require_supported(config.hidden_size % 64 == 0, "hidden_size: ", config.hidden_size,
                    " given, a multiple of 64 is supported");
  in_range("embedding_size", config.embedding_size, 1, 4096);
  require_supported(config.embedding_size % 16 == 0, "embedding_size: ", config.embedding_size,
                    " given, a multiple of 16 is supported");
  in_range("intermediate_size", config.intermediate_size, 1, 1 << 15);
  in_range("num_heads", config.num_heads, 1, 256);
  in_range("vocab_size", config.vocab_size, 1, 1 << 24);
  in_range("max_seq_len", config.max_seq_len, 1, 1 << 16);
  in_range("num_positions", config.num_positions, 0, 1 << 17);
  in_range("type_vocab_size", config.type_vocab_size, 0, 1 << 10);
  in_range("layers", static_cast<std::int64_t>(config.layers.size()), 1, 256);
  if (config.num_positions > 0) {
    in_range("position_offset", config.position_offset, 0,
             config.num_positions - config.max_seq_len);
  }
  if (config.relative_distance) {
    in_range("relative_distance", *config.relative_distance, 0, 1 << 16);
  }
}

void check_config(const EncoderConfig& config) {
  check_sizes(config);
  const std::int64_t head_dim = config.hidden_size / config.num_heads;
  require_supported(head_dim * config.num_heads == config.hidden_size && head_dim % 32 == 0 &&
                        head_dim <= kMaxHeadDim,
                    "num_heads: ", config.num_heads, " given for a hidden_size of ",
                    config.hidden_size, ", heads of a multiple of 32 components, at most ",
                    kMaxHeadDim, ", are supported");
  require_supported(
      config.activation != Activation::kIdentity && config.activation != Activation::kTanh,
      "activation: gelu, gelu_tanh, relu and silu are supported");
  for (const LayerAttention& layer : config.layers) {
    require_supported(!layer.window || *layer.window >= 0, "window: ", layer.window.value_or(0),
                      " given, at least 0");
    const auto num_frequencies = static_cast<std::int64_t>(layer.inverse_frequencies.size());
    require_supported(num_frequencies == 0 || num_frequencies == head_dim / 2,
                      "inverse_frequencies: ", num_frequencies, " given, one for each pair of ",
                      head_dim, " components");
  }
}

// How large a LayerNorm's outputs get: three standard deviations around the shift.
std::vector<float> range_of(const LayerNormWeights& norm) {
  std::vector<float> range(norm.scale.size());
  for (std::size_t c = 0; c < range.size(); ++c) {
    range[c] = 3.0F * std::fabs(norm.scale[c]) + std::fabs(norm.shift[c]);
  }
  return range;
}

// A layer of a checkpoint: weight [width, depth], bias [width].
struct Dense {
  std::vector<float> weight;
  std::vector<float> bias;

  // How large its outputs get for what a norm lets through: one standard deviation around the mean,
  // were components independent.
  std::vector<float> output_range(const LayerNormWeights& norm) const {
    const std::size_t depth = norm.scale.size();
    std::vector<float> range(bias.size());
    for (std::size_t c = 0; c < bias.size(); ++c) {
      float mean = bias[c], variance = 0;
      for (std::size_t k = 0; k < depth; ++k) {
        const float w = weight[c * depth + k];
        mean += w * norm.shift[k];
        variance += w * norm.scale[k] * w * norm.scale[k];
      }
      range[c] = std::sqrt(mean * mean + variance);
    }
    return range;
  }
};

// Gates and what they let through in one product: 16 columns of the one, 16 of the other.
Dense interleaved(const Dense& gate, const Dense& up) {
  constexpr std::size_t kHalf = kPanelWidth / 2;
  const std::size_t width = up.bias.size(), depth = up.weight.size() / width;
  Dense both{std::vector<float>(2 * width * depth), std::vector<float>(2 * width)};
  for (std::size_t c = 0; c < width; ++c) {
    const std::size_t target = c / kHalf * kPanelWidth + c % kHalf;
    both.bias[target] = gate.bias[c];
    both.bias[target + kHalf] = up.bias[c];
    std::copy_n(gate.weight.begin() + static_cast<std::ptrdiff_t>(c * depth), depth,
                both.weight.begin() + static_cast<std::ptrdiff_t>(target * depth));
    std::copy_n(up.weight.begin() + static_cast<std::ptrdiff_t>(c * depth), depth,
                both.weight.begin() + static_cast<std::ptrdiff_t>((target + kHalf) * depth));
  }
  return both;
}

// [max_seq_len, 2, frequencies] cosines and sines. Angles are rounded to float32 as models were
// trained with them.
std::vector<float> turns_of(std::span<const float> frequencies, std::size_t max_seq_len) {
  std::vector<float> turns(max_seq_len * 2 * frequencies.size());
  float* turn = turns.data();
  for (std::size_t position = 0; position < max_seq_len; ++position) {
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
      const double angle = static_cast<float>(position) * frequencies[i];
      turn[i] = static_cast<float>(std::cos(angle));
      turn[i + frequencies.size()] = static_cast<float>(std::sin(angle));
    }
    turn += 2 * frequencies.size();
  }
  return turns;
}

class Loader {
 public:
  Loader(const KernelTable& kernels, const StoredTensors& tensors, const EncoderConfig& config,
         Precision precision)
      : kernels_(kernels),
        tensors_(tensors),
        config_(config),
        precision_(precision),
        hidden_(static_cast<std::uint64_t>(config.hidden_size)),
        intermediate_(static_cast<std::uint64_t>(config.intermediate_size)),
        embedding_(static_cast<std::uint64_t>(config.embedding_size)) {}

  EncoderWeights load(const Head& head) const {
    EncoderWeights weights;
    weights.words = table("embeddings.words", config_.vocab_size);
    weights.positions = table("embeddings.positions", config_.num_positions);
    weights.types = table("embeddings.types", config_.type_vocab_size);
    weights.embedding_norm = norm("embeddings.norm", embedding_);
    if (embedding_ != hidden_) {
      weights.embedding_projection = load_projection(range_of(weights.embedding_norm));
    }
    load_layers(weights);
    if (config_.norm_first) {
      weights.final_norm = norm("final_norm", hidden_);
    }
    if (config_.relative_distance) {
      load_relative_biases(weights);
    }
    const auto* classifier = std::get_if<ClassifierHead>(&head);
    weights.head = classifier != nullptr ? load_classifier(*classifier)
                                         : load_embedding_head(std::get<EmbeddingHead>(head));
    weights.head.norm_epsilon = config_.norm_epsilon;
    return weights;
  }

 private:
  std::vector<float> read(const std::string& name, Shape shape) const {
    return read_tensor(tensors_, name, std::span(shape.begin(), shape.size()));
  }

  std::vector<float> table(const std::string& name, std::int64_t num_rows) const {
    if (num_rows == 0) {
      return {};
    }
    return read(name + ".weight", {static_cast<std::uint64_t>(num_rows), embedding_});
  }

  LayerNormWeights norm(const std::string& name, std::uint64_t width) const {
    return {read(name + ".weight", {width}), read(name + ".bias", {width})};
  }

  Dense dense(const std::string& name, std::uint64_t width, std::uint64_t depth) const {
    return {read(name + ".weight", {width, depth}), read(name + ".bias", {width})};
  }

  // input_range empty: its input is of no known range.
  Linear packed(Dense dense, const std::vector<float>& input_range = {}) const {
    if (input_range.empty()) {
      return Linear(kernels_, precision_, dense.weight, dense.bias);
    }
    return Linear::balanced(kernels_, precision_, std::move(dense.weight), dense.bias, input_range);
  }

  Linear linear(const std::string& name, std::uint64_t width, std::uint64_t depth,
                const std::vector<float>& input_range = {}) const {
    return packed(dense(name, width, depth), input_range);
  }

  Linear load_projection(std::vector<float> input_range) const {
    Dense projection = dense("embeddings.projection", hidden_, embedding_);
    projection.weight = deepened(projection.weight, embedding_, embedding_width(config_));
    input_range.resize(embedding_width(config_));
    return packed(std::move(projection), input_range);
  }

  void load_layers(EncoderWeights& weights) const {
    const bool is_projected = weights.embedding_projection.has_value();
    std::vector<float> input_range =
        is_projected ? std::vector<float>() : range_of(weights.embedding_norm);
    for (std::size_t i = 0; i < config_.layers.size(); ++i) {
      const std::string prefix = "layers." + std::to_string(i) + ".";
      LayerWeights layer;
      if (i > 0 || config_.first_attention_norm || !config_.norm_first) {
        layer.attention_norm = norm(prefix + "attention_norm", hidden_);
      }
      layer.mlp_norm = norm(prefix + "mlp_norm", hidden_);
      if (config_.norm_first && layer.attention_norm) {
        input_range = range_of(*layer.attention_norm);
      }
      layer.heads = load_heads(prefix + "attention.", input_range);
      layer.attention_output = linear(prefix + "attention.output", hidden_, hidden_);
      load_mlp(prefix + "mlp.", layer);
      layer.turns = turns_for(i, weights);
      input_range = range_of(layer.mlp_norm);
      weights.layers.push_back(std::move(layer));
    }
  }

  void load_mlp(const std::string& prefix, LayerWeights& layer) const {
    const LayerNormWeights& before = config_.norm_first ? layer.mlp_norm : *layer.attention_norm;
    Dense up = dense(prefix + "up", intermediate_, hidden_);
    Dense down = dense(prefix + "down", hidden_, intermediate_);
    if (config_.gated) {
      Dense gate = dense(prefix + "gate", intermediate_, hidden_);
      if (precision_ == Precision::kInt8) {
        balance_product(gate, up, down, before);
      }
      up = interleaved(widened(std::move(gate)), widened(std::move(up)));
    } else {
      up = widened(std::move(up));
    }
    down.weight = deepened(down.weight, intermediate_, intermediate_width(config_));
    layer.up = packed(std::move(up), range_of(before));
    layer.down = packed(std::move(down));
  }

  // With outputs of zeros, of which every activation is zero, up to whole cache lines.
  Dense widened(Dense up) const {
    const std::size_t width = intermediate_width(config_);
    up.weight.resize(width * hidden_);
    up.bias.resize(width);
    return up;
  }

  // Weights [hidden_size, depth] with zeros for inputs that are not there.
  std::vector<float> deepened(const std::vector<float>& weight, std::size_t depth,
                              std::size_t new_depth) const {
    std::vector<float> deeper(hidden_ * new_depth);
    for (std::size_t c = 0; c < hidden_; ++c) {
      std::copy_n(weight.begin() + static_cast<std::ptrdiff_t>(c * depth), depth,
                  deeper.begin() + static_cast<std::ptrdiff_t>(c * new_depth));
    }
    return deeper;
  }

  // A product of two has channels of far more unlike sizes than either, and a token's largest
  // decides the scale of all its others in int8. How large they get follows from the weights, and
  // what moves into those of down, moves out of those of up: that costs nothing.
  static void balance_product(const Dense& gate, Dense& up, Dense& down,
                              const LayerNormWeights& before) {
    std::vector<float> range = gate.output_range(before);
    const std::vector<float> up_range = up.output_range(before);
    for (std::size_t c = 0; c < range.size(); ++c) {
      range[c] *= up_range[c];
    }
    const std::vector<float> factors = balancing_factors(down.weight, range);
    scale_columns(down.weight, factors);
    const std::size_t depth = before.scale.size();
    for (std::size_t c = 0; c < factors.size(); ++c) {
      up.bias[c] /= factors[c];
      for (std::size_t k = 0; k < depth; ++k) {
        up.weight[c * depth + k] /= factors[c];
      }
    }
  }

  Linear load_heads(const std::string& prefix, const std::vector<float>& input_range) const {
    const auto num_heads = static_cast<std::size_t>(config_.num_heads);
    const std::size_t head_dim = hidden_ / num_heads;
    const float query_scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
    Dense heads{std::vector<float>(3 * hidden_ * hidden_), std::vector<float>(3 * hidden_)};
    constexpr std::array<const char*, 3> kParts{"query", "key", "value"};
    for (std::size_t part = 0; part < kParts.size(); ++part) {
      const Dense source = dense(prefix + kParts[part], hidden_, hidden_);
      const float scale = part == 0 ? query_scale : 1.0F;
      for (std::size_t column = 0; column < hidden_; ++column) {
        const std::size_t head = column / head_dim;
        const std::size_t target = (head * kParts.size() + part) * head_dim + column % head_dim;
        heads.bias[target] = source.bias[column] * scale;
        for (std::size_t k = 0; k < hidden_; ++k) {
          heads.weight[target * hidden_ + k] = source.weight[column * hidden_ + k] * scale;
        }
      }
    }
    return packed(std::move(heads), input_range);
  }

  // An earlier layer's where its frequencies are the same.
  std::shared_ptr<const std::vector<float>> turns_for(std::size_t layer,
                                                      const EncoderWeights& weights) const {
    const std::vector<float>& frequencies = config_.layers[layer].inverse_frequencies;
    if (frequencies.empty()) {
      return nullptr;
    }
    for (std::size_t i = 0; i < layer; ++i) {
      if (config_.layers[i].inverse_frequencies == frequencies) {
        return weights.layers[i].turns;
      }
    }
    return std::make_shared<const std::vector<float>>(
        turns_of(frequencies, static_cast<std::size_t>(config_.max_seq_len)));
  }

  // A column for each distance there is, and some more, which vectors reach over to.
  void load_relative_biases(EncoderWeights& weights) const {
    const auto num_heads = static_cast<std::size_t>(config_.num_heads);
    const std::int64_t bound = *config_.relative_distance, furthest = config_.max_seq_len - 1;
    const auto num_columns = static_cast<std::size_t>(2 * bound + 1);
    const std::vector<float> stored = read("relative_bias", {num_heads, num_columns});
    weights.relative_stride = static_cast<std::size_t>(2 * furthest + 1) + kPanelWidth;
    weights.relative_biases.resize(num_heads * weights.relative_stride);
    for (std::size_t head = 0; head < num_heads; ++head) {
      float* biases = weights.relative_biases.data() + head * weights.relative_stride;
      for (std::int64_t distance = -furthest; distance <= furthest; ++distance) {
        const auto column = static_cast<std::size_t>(std::clamp(distance, -bound, bound) + bound);
        biases[distance + furthest] = stored[head * num_columns + column];
      }
    }
  }

  HeadLayer head_layer(const std::string& name, std::uint64_t width, std::uint64_t depth,
                       Activation activation) const {
    Dense layer = dense(name, width, depth);
    return {std::move(layer.weight), std::move(layer.bias), activation, std::nullopt};
  }

  HeadWeights load_classifier(const ClassifierHead& head) const {
    HeadWeights weights{{head.pooling}, {}, 0, false};
    weights.layers.push_back(head_layer("head.dense", hidden_, hidden_, head.activation));
    if (head.has_norm) {
      weights.layers[0].norm = norm("head.norm", hidden_);
    }
    weights.layers.push_back(head_layer("head.projection", 1, hidden_, Activation::kIdentity));
    return weights;
  }

  HeadWeights load_embedding_head(const EmbeddingHead& head) const {
    require_supported(!head.poolings.empty(), "poolings: none given, at least one");
    HeadWeights weights{head.poolings, {}, 0, true};
    std::uint64_t depth = head.poolings.size() * hidden_;
    for (std::size_t i = 0; i < head.dense.size(); ++i) {
      const DenseLayer& layer = head.dense[i];
      require_supported(static_cast<std::uint64_t>(layer.input_size) == depth, "embedding.dense.",
                        i, ": takes ", layer.input_size, " components, is given ", depth);
      require_supported(layer.output_size >= 1 && layer.output_size <= 1 << 16, "embedding.dense.",
                        i, ": gives ", layer.output_size, " components, 1 to ", 1 << 16);
      const auto width = static_cast<std::uint64_t>(layer.output_size);
      weights.layers.push_back(
          head_layer("embedding.dense." + std::to_string(i), width, depth, layer.activation));
      depth = width;
    }
    return weights;
  }

  const KernelTable& kernels_;
  const StoredTensors& tensors_;
  const EncoderConfig& config_;
  Precision precision_;
  std::uint64_t hidden_;
  std::uint64_t intermediate_;
  std::uint64_t embedding_;
};

}  // namespace

std::size_t intermediate_width(const EncoderConfig& config) {
  return static_cast<std::size_t>((config.intermediate_size + 63) / 64 * 64);
}

std::size_t embedding_width(const EncoderConfig& config) {
  return static_cast<std::size_t>((config.embedding_size + 63) / 64 * 64);
}

EncoderWeights load_weights(const KernelTable& kernels, const StoredTensors& tensors,
                            const EncoderConfig& config, const Head& head, Precision precision) {
  check_config(config);
  return Loader(kernels, tensors, config, precision).load(head);
}

}  // namespace twopass
