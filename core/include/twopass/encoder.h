#ifndef TWOPASS_ENCODER_H_
#define TWOPASS_ENCODER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "twopass/ragged.h"
#include "twopass/stored_tensors.h"

namespace twopass {

// Type of the products of weights and activations. LayerNorm, softmax and the residual stream are
// float32 in each of them.
//   kInt8  weights in int8 with a scale per output, activations in int8 with a scale per token
enum class Precision { kF32, kBf16, kInt8 };

enum class Gelu { kErf, kTanh };

// What a forward pass returns of each sequence.
enum class Output {
  kLogit,          // [1]            pooler and classifier over the first token
  kMeanEmbedding,  // [hidden_size]  mean of the token vectors, L2-normalised
  kClsEmbedding,   // [hidden_size]  vector of the first token, L2-normalised
};

// Shape of a BERT-family encoder with absolute positions.
struct EncoderConfig {
  std::int64_t hidden_size;        // a multiple of 64
  std::int64_t num_layers;         // at least 1
  std::int64_t num_heads;          // hidden_size / num_heads is 32 or 64
  std::int64_t intermediate_size;  // a multiple of 64
  std::int64_t vocab_size;
  std::int64_t max_positions;
  std::int64_t type_vocab_size;  // 1 where the model tells no segments apart
  std::int64_t position_offset;  // position of a sequence's first token: 0 in BERT, 2 in RoBERTa
  float layer_norm_epsilon;
  Gelu gelu;
};

// A BERT-family encoder over packed batches: the tokens of all sequences lie end to end, and
// nothing is padded. What a sequence gets is the same bit for bit whatever it is batched with, in
// whatever order, with however many threads.
class PackedEncoder {
 public:
  // Packs weights of float32, float16 or bfloat16; they may go once this returns. num_threads 0
  // takes one for each of available_cpus(). Throws ModelError for a tensor that is missing,
  // damaged, or does not fit the configuration, UnsupportedModelError for a shape it does not
  // compute.
  PackedEncoder(const StoredTensors& weights, const EncoderConfig& config, Output output,
                Precision precision, std::size_t num_threads);
  ~PackedEncoder();

  // Computes all sequences, each of at least one token. Calls may overlap: batches are computed in
  // the order they came, and those of all encoders with as many threads share the same ones.
  //   query_lengths  [num_sequences]; so many leading tokens have type 0, the others type 1
  // Returns [num_sequences, output_width()]. Throws InputTooLongError for a sequence longer than
  // max_seq_len(), std::invalid_argument for an empty one or a token id outside the vocabulary.
  std::vector<float> forward(const RaggedView& sequences,
                             std::span<const std::int32_t> query_lengths);

  std::size_t output_width() const;
  std::size_t max_seq_len() const;
  std::size_t num_threads() const;
  std::size_t scratch_bytes() const;  // allocated once, for all threads
  std::string_view isa() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace twopass

#endif  // TWOPASS_ENCODER_H_
