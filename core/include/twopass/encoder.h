#ifndef TWOPASS_ENCODER_H_
#define TWOPASS_ENCODER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "twopass/ragged.h"
#include "twopass/stored_tensors.h"

namespace twopass {

// Type of the products of weights and activations. LayerNorm, softmax and the residual stream are
// float32 in each of them.
//   kInt8  weights in int8 with a scale per output, activations in int8 with a scale per token
enum class Precision { kF32, kBf16, kInt8 };

// A function of one number: GELU exact or by its tanh approximation.
enum class Activation { kIdentity, kGelu, kGeluTanh, kRelu, kSilu, kTanh };

// How the vectors of a sequence's tokens become one.
enum class Pooling {
  kCls,           // the first token's
  kMean,          // their mean
  kMax,           // of each component the largest
  kLast,          // the last token's
  kWeightedMean,  // their mean, the n-th token counted n times
  kMeanSqrtLen,   // their sum divided by the square root of their number
};

// What tells the attention of one layer from another's.
struct LayerAttention {
  // A token sees those at most so many places away; none: all of its sequence.
  std::optional<std::int64_t> window;
  // [head_dim / 2] by which queries and keys are rotated (Su et al. 2021): components i and
  // i + head_dim / 2 by the angle position * inverse_frequencies[i]. Empty: they are not.
  std::vector<float> inverse_frequencies;
};

// A layer after pooling: activation(x W^T + b).
struct DenseLayer {
  std::int64_t input_size;
  std::int64_t output_size;
  Activation activation;
};

// A sequence becomes a logit: pooled, dense, activation, LayerNorm perhaps, projection.
struct ClassifierHead {
  Pooling pooling;
  Activation activation;
  bool has_norm;
};

// A sequence becomes an embedding of length 1: its poolings side by side, then the dense layers.
struct EmbeddingHead {
  std::vector<Pooling> poolings;  // at least one
  std::vector<DenseLayer> dense;
};

// What a forward pass returns of each sequence.
using Head = std::variant<ClassifierHead, EmbeddingHead>;

// An encoder's shape, in every family the same terms. Post-norm, after Vaswani et al. 2017:
//     x = attention_norm(x + attention(x)); x = mlp_norm(x + mlp(x))
// Pre-norm, and final_norm after the last layer:
//     x = x + attention(attention_norm(x)); x = x + mlp(mlp_norm(x))
// The MLP is down(activation(up(x))), gated down(activation(gate(x)) * up(x)).
struct EncoderConfig {
  std::int64_t hidden_size;  // a multiple of 64
  std::int64_t num_heads;    // hidden_size / num_heads is a multiple of 32, at most 256
  std::int64_t intermediate_size;
  std::int64_t vocab_size;
  std::int64_t
      embedding_size;  // a multiple of 16; where it is not hidden_size, a projection follows
  std::int64_t max_seq_len;
  std::int64_t num_positions;    // rows of the table of absolute positions; 0: there is none
  std::int64_t position_offset;  // row of a sequence's first token: 0 in BERT, 2 in RoBERTa
  std::int64_t type_vocab_size;  // 0 where the model tells no segments apart
  float norm_epsilon;
  bool norm_first;
  bool first_attention_norm;  // pre-norm; not so in ModernBERT
  Activation activation;      // kGelu, kGeluTanh, kRelu or kSilu
  bool gated;
  std::vector<LayerAttention> layers;  // at least 1
  // Columns of the table of biases by relative position are of -distance to distance; none: there
  // is no such table.
  std::optional<std::int64_t> relative_distance;
};

// An encoder over packed batches: the tokens of all sequences lie end to end, and nothing is
// padded. What a sequence gets is the same bit for bit whatever it is batched with, in whatever
// order, with however many threads.
class PackedEncoder {
 public:
  // Packs weights of float32, float16 or bfloat16; they may go once this returns. num_threads 0
  // takes one for each of available_cpus(). Throws ModelError for a tensor that is missing,
  // damaged, or does not fit the configuration, UnsupportedModelError for a shape it does not
  // compute.
  PackedEncoder(const StoredTensors& weights, const EncoderConfig& config, const Head& head,
                Precision precision, std::size_t num_threads);
  ~PackedEncoder();

  // Computes all sequences, each of at least one token. Calls may overlap: batches are computed in
  // the order they came, and those of all encoders with as many threads share the same ones.
  //   query_lengths  [num_sequences]; so many leading tokens have type 0, the others type 1
  // Returns [num_sequences, output_width()]. Throws InputTooLongError for a sequence longer than
  // max_seq_len(), std::invalid_argument for an empty one or a token id outside the vocabulary.
  std::vector<float> forward(const RaggedView& sequences,
                             std::span<const std::int32_t> query_lengths);

  // As forward, but what the last layer makes of each token, before pooling and all else of the
  // head: [num_tokens, token_width()], sequence after sequence.
  std::vector<float> forward_tokens(const RaggedView& sequences,
                                    std::span<const std::int32_t> query_lengths);

  std::size_t output_width() const;
  std::size_t token_width() const;  // hidden_size
  std::size_t max_seq_len() const;
  std::size_t num_threads() const;
  std::size_t scratch_bytes() const;  // reserved once, for all threads
  std::string_view isa() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace twopass

#endif  // TWOPASS_ENCODER_H_
