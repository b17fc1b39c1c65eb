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

#include "encoder/read_tensor.h"
#include "twopass/errors.h"

namespace twopass {
namespace {

using Shape = std::initializer_list<std::uint64_t>;

template <typename... Parts>
void require_supported(bool condition, const Parts&... parts) {
  if (!condition) {
    std::ostringstream message;
    (message << ... << parts);
    throw UnsupportedModelError(message.str());
  }
}

void check_config(const EncoderConfig& config) {
  const auto in_range = [](const char* name, std::int64_t value, std::int64_t most) {
    require_supported(value >= 1 && value <= most, name, ": ", value, " given, 1 to ", most);
  };
  in_range("hidden_size", config.hidden_size, 4096);
  in_range("intermediate_size", config.intermediate_size, 1 << 15);
  in_range("num_layers", config.num_layers, 256);
  in_range("num_heads", config.num_heads, 256);
  in_range("vocab_size", config.vocab_size, 1 << 24);
  in_range("max_positions", config.max_positions, 1 << 16);
  in_range("type_vocab_size", config.type_vocab_size, 1 << 10);
  require_supported(config.hidden_size % 64 == 0, "hidden_size: ", config.hidden_size,
                    " given, a multiple of 64 is supported");
  require_supported(config.intermediate_size % 64 == 0,
                    "intermediate_size: ", config.intermediate_size,
                    " given, a multiple of 64 is supported");
  const std::int64_t head_dim = config.hidden_size / config.num_heads;
  require_supported(
      head_dim * config.num_heads == config.hidden_size && (head_dim == 32 || head_dim == 64),
      "num_heads: ", config.num_heads, " given for a hidden_size of ", config.hidden_size,
      ", heads of 32 or 64 components are supported");
  require_supported(config.position_offset >= 0 && config.position_offset < config.max_positions,
                    "position_offset: ", config.position_offset, " given, 0 to ",
                    config.max_positions - 1);
}

// How large a LayerNorm's outputs get: three standard deviations around the shift.
std::vector<float> range_of(const LayerNormWeights& norm) {
  std::vector<float> range(norm.scale.size());
  for (std::size_t c = 0; c < range.size(); ++c) {
    range[c] = 3.0F * std::fabs(norm.scale[c]) + std::fabs(norm.shift[c]);
  }
  return range;
}

class Loader {
 public:
  Loader(const StoredTensors& tensors, const EncoderConfig& config, Precision precision)
      : tensors_(tensors),
        config_(config),
        precision_(precision),
        hidden_(static_cast<std::uint64_t>(config.hidden_size)),
        intermediate_(static_cast<std::uint64_t>(config.intermediate_size)) {}

  EncoderWeights load(Output output) const {
    EncoderWeights weights;
    const auto table = [this](const char* name, std::int64_t rows) {
      return read(std::string("embeddings.") + name + "_embeddings.weight",
                  {static_cast<std::uint64_t>(rows), hidden_});
    };
    weights.words = table("word", config_.vocab_size);
    weights.positions = table("position", config_.max_positions);
    weights.types = table("token_type", config_.type_vocab_size);
    weights.embedding_norm = norm("embeddings.LayerNorm");
    for (std::int64_t layer = 0; layer < config_.num_layers; ++layer) {
      const LayerNormWeights& before =
          layer == 0 ? weights.embedding_norm : weights.layers.back().output_norm;
      weights.layers.push_back(load_layer("encoder.layer." + std::to_string(layer) + ".", before));
    }
    if (output == Output::kLogit) {
      weights.classifier = load_classifier();
    }
    return weights;
  }

 private:
  std::vector<float> read(const std::string& name, Shape shape) const {
    return read_tensor(tensors_, name, std::span(shape.begin(), shape.size()));
  }

  LayerNormWeights norm(const std::string& name) const {
    return {read(name + ".weight", {hidden_}), read(name + ".bias", {hidden_})};
  }

  Linear linear(const std::string& name, std::uint64_t width, std::uint64_t depth) const {
    return Linear(precision_, read(name + ".weight", {width, depth}),
                  read(name + ".bias", {width}));
  }

  // before normalises what the layer is given.
  LayerWeights load_layer(const std::string& prefix, const LayerNormWeights& before) const {
    const std::string inner = prefix + "intermediate.dense";
    LayerNormWeights attention_norm = norm(prefix + "attention.output.LayerNorm");
    Linear intermediate =
        Linear::balanced(precision_, read(inner + ".weight", {intermediate_, hidden_}),
                         read(inner + ".bias", {intermediate_}), range_of(attention_norm));
    return {load_heads(prefix + "attention.self.", before),
            linear(prefix + "attention.output.dense", hidden_, hidden_),
            std::move(attention_norm),
            std::move(intermediate),
            linear(prefix + "output.dense", hidden_, intermediate_),
            norm(prefix + "output.LayerNorm")};
  }

  Linear load_heads(const std::string& prefix, const LayerNormWeights& before) const {
    const auto num_heads = static_cast<std::size_t>(config_.num_heads);
    const std::size_t head_dim = hidden_ / num_heads;
    const float query_scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
    std::vector<float> weight(3 * hidden_ * hidden_);
    std::vector<float> bias(3 * hidden_);
    constexpr std::array<const char*, 3> kParts{"query", "key", "value"};
    for (std::size_t part = 0; part < kParts.size(); ++part) {
      const std::vector<float> w = read(prefix + kParts[part] + ".weight", {hidden_, hidden_});
      const std::vector<float> b = read(prefix + kParts[part] + ".bias", {hidden_});
      const float scale = part == 0 ? query_scale : 1.0F;
      for (std::size_t column = 0; column < hidden_; ++column) {
        const std::size_t head = column / head_dim;
        const std::size_t target = (head * kParts.size() + part) * head_dim + column % head_dim;
        bias[target] = b[column] * scale;
        for (std::size_t k = 0; k < hidden_; ++k) {
          weight[target * hidden_ + k] = w[column * hidden_ + k] * scale;
        }
      }
    }
    return Linear::balanced(precision_, std::move(weight), bias, range_of(before));
  }

  // BertForSequenceClassification has a pooler, RobertaForSequenceClassification its own layer.
  ClassifierWeights load_classifier() const {
    const bool is_roberta = tensors_.contains("classifier.out_proj.weight");
    const std::string dense = is_roberta ? "classifier.dense" : "pooler.dense";
    const std::string projection = is_roberta ? "classifier.out_proj" : "classifier";
    return {read(dense + ".weight", {hidden_, hidden_}), read(dense + ".bias", {hidden_}),
            read(projection + ".weight", {1, hidden_}), read(projection + ".bias", {1})[0]};
  }

  const StoredTensors& tensors_;
  const EncoderConfig& config_;
  Precision precision_;
  std::uint64_t hidden_;
  std::uint64_t intermediate_;
};

}  // namespace

EncoderWeights load_weights(const StoredTensors& tensors, const EncoderConfig& config,
                            Output output, Precision precision) {
  check_config(config);
  return Loader(tensors, config, precision).load(output);
}

}  // namespace twopass
