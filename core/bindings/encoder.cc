#include "twopass/encoder.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <map>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "arrays.h"
#include "bindings.h"
#include "twopass/errors.h"
#include "twopass/isa.h"

namespace twopass {
namespace {

void bind_errors(nb::module_& m) {
  // The last registered is asked first, so bases come before what derives from them.
  auto model_error = nb::exception<ModelError>(m, "ModelError", PyExc_RuntimeError);
  nb::exception<UnsupportedModelError>(m, "UnsupportedModelError", model_error.ptr());
  nb::exception<InputTooLongError>(m, "InputTooLongError", PyExc_ValueError);
}

void bind_isas(nb::module_& m) {
  m.def(
      "supported_isas",
      [] {
        std::vector<std::string> names;
        for (const Isa isa : supported_isas()) {
          names.emplace_back(name_of(isa));
        }
        return names;
      },
      "Instruction sets of this machine that there are kernels for, slowest first.");
  m.def(
      "selected_isa", [] { return std::string(name_of(selected_isa())); },
      R"(The instruction set in use: the last of those, or the one that TWOPASS_ISA names.

Raises:
    ValueError: TWOPASS_ISA names one that is unknown or not supported.)");
}

void bind_layer_attention(nb::module_& m) {
  nb::class_<LayerAttention>(m, "LayerAttention",
                             "What tells the attention of one layer from another's.")
      .def(
          "__init__",
          [](LayerAttention* self, std::optional<std::int64_t> window,
             std::vector<float> inverse_frequencies) {
            new (self) LayerAttention{window, std::move(inverse_frequencies)};
          },
          nb::kw_only(), nb::arg("window") = nb::none(),
          nb::arg("inverse_frequencies") = std::vector<float>(),
          R"(A token sees those at most `window` places away, or all of its sequence.

Queries and keys are rotated by `inverse_frequencies`, `[head_dim / 2]`, or, where it is empty, not.)");
}

void bind_heads(nb::module_& m) {
  nb::class_<DenseLayer>(m, "DenseLayer", "A layer after pooling: activation(x W^T + b).")
      .def(
          "__init__",
          [](DenseLayer* self, std::int64_t input_size, std::int64_t output_size,
             Activation activation) { new (self) DenseLayer{input_size, output_size, activation}; },
          nb::kw_only(), nb::arg("input_size"), nb::arg("output_size"), nb::arg("activation"));
  nb::class_<ClassifierHead>(
      m, "ClassifierHead",
      "A sequence becomes a logit: pooled, dense, activation, LayerNorm perhaps, projection.")
      .def(
          "__init__",
          [](ClassifierHead* self, Pooling pooling, Activation activation, bool has_norm) {
            new (self) ClassifierHead{pooling, activation, has_norm};
          },
          nb::kw_only(), nb::arg("pooling"), nb::arg("activation"), nb::arg("has_norm"));
  nb::class_<EmbeddingHead>(
      m, "EmbeddingHead",
      "A sequence becomes an embedding of length 1: poolings side by side, then dense layers.")
      .def(
          "__init__",
          [](EmbeddingHead* self, std::vector<Pooling> poolings, std::vector<DenseLayer> dense) {
            new (self) EmbeddingHead{std::move(poolings), std::move(dense)};
          },
          nb::kw_only(), nb::arg("poolings"), nb::arg("dense") = std::vector<DenseLayer>());
}

void bind_encoder_config(nb::module_& m) {
  nb::class_<EncoderConfig>(m, "EncoderConfig",
                            "An encoder's shape, in every family the same terms.")
      .def(
          "__init__",
          [](EncoderConfig* self, std::int64_t hidden_size, std::int64_t num_heads,
             std::int64_t intermediate_size, std::int64_t vocab_size, std::int64_t embedding_size,
             std::int64_t max_seq_len, std::int64_t num_positions, std::int64_t position_offset,
             std::int64_t type_vocab_size, float norm_epsilon, bool norm_first,
             bool first_attention_norm, Activation activation, bool gated,
             std::vector<LayerAttention> layers, std::optional<std::int64_t> relative_distance) {
            new (self) EncoderConfig{
                hidden_size,     num_heads,    intermediate_size, vocab_size,
                embedding_size,  max_seq_len,  num_positions,     position_offset,
                type_vocab_size, norm_epsilon, norm_first,        first_attention_norm,
                activation,      gated,        std::move(layers), relative_distance};
          },
          nb::kw_only(), nb::arg("hidden_size"), nb::arg("num_heads"), nb::arg("intermediate_size"),
          nb::arg("vocab_size"), nb::arg("embedding_size"), nb::arg("max_seq_len"),
          nb::arg("num_positions"), nb::arg("position_offset"), nb::arg("type_vocab_size"),
          nb::arg("norm_epsilon"), nb::arg("norm_first"), nb::arg("first_attention_norm"),
          nb::arg("activation"), nb::arg("gated"), nb::arg("layers"),
          nb::arg("relative_distance") = nb::none());
}

void bind_config(nb::module_& m) {
  nb::enum_<Precision>(m, "Precision", "Type of the products of weights and activations.")
      .value("F32", Precision::kF32)
      .value("BF16", Precision::kBf16)
      .value("INT8", Precision::kInt8);
  nb::enum_<Activation>(m, "Activation",
                        "A function of one number: GELU exact or by its tanh approximation.")
      .value("IDENTITY", Activation::kIdentity)
      .value("GELU", Activation::kGelu)
      .value("GELU_TANH", Activation::kGeluTanh)
      .value("RELU", Activation::kRelu)
      .value("SILU", Activation::kSilu)
      .value("TANH", Activation::kTanh);
  nb::enum_<Pooling>(m, "Pooling", "How the vectors of a sequence's tokens become one.")
      .value("CLS", Pooling::kCls)
      .value("MEAN", Pooling::kMean)
      .value("MAX", Pooling::kMax)
      .value("LAST", Pooling::kLast)
      .value("WEIGHTED_MEAN", Pooling::kWeightedMean)
      .value("MEAN_SQRT_LEN", Pooling::kMeanSqrtLen);
  bind_layer_attention(m);
  bind_heads(m);
  bind_encoder_config(m);
}

// Dtype, shape and bytes of each tensor.
using BoundTensors =
    std::map<std::string,
             std::tuple<std::string, std::vector<std::uint64_t>, InputArray<std::uint8_t>>>;

void construct(PackedEncoder* self, const BoundTensors& weights, const EncoderConfig& config,
               const Head& head, Precision precision, std::size_t num_threads) {
  StoredTensors tensors;
  for (const auto& [name, tensor] : weights) {
    const auto& [dtype, shape, bytes] = tensor;
    tensors[name] = {dtype, shape, std::as_bytes(as_span(bytes))};
  }
  without_gil(
      [&] { return new (self) PackedEncoder(tensors, config, head, precision, num_threads); });
}

using Float32Rows = nb::ndarray<nb::numpy, float, nb::c_contig>;

Float32Rows rows_of(std::vector<float> numbers, std::size_t width) {
  const std::size_t num_rows = numbers.size() / width;
  auto owned = std::make_unique<std::vector<float>>(std::move(numbers));
  const nb::capsule owner(owned.get(), [](void* pointer) noexcept {
    delete static_cast<std::vector<float>*>(pointer);
  });
  return {owned.release()->data(), {num_rows, width}, owner};
}

Float32Rows forward(PackedEncoder& encoder, const Int32s& token_ids, const Int32s& offsets,
                    const Int32s& query_lengths) {
  return rows_of(without_gil([&] {
                   return encoder.forward(RaggedView(as_span(token_ids), as_span(offsets)),
                                          as_span(query_lengths));
                 }),
                 encoder.output_width());
}

Float32Rows forward_tokens(PackedEncoder& encoder, const Int32s& token_ids, const Int32s& offsets,
                           const Int32s& query_lengths) {
  return rows_of(without_gil([&] {
                   return encoder.forward_tokens(RaggedView(as_span(token_ids), as_span(offsets)),
                                                 as_span(query_lengths));
                 }),
                 encoder.token_width());
}

}  // namespace

void bind_encoder(nb::module_& m) {
  bind_errors(m);
  bind_isas(m);
  bind_config(m);
  nb::class_<PackedEncoder>(m, "PackedEncoder",
                            R"(An encoder over packed batches: nothing is padded.

What a sequence gets is the same bit for bit whatever it is batched with, in whatever order, with
however many threads.)")
      .def("__init__", &construct, nb::arg("weights"), nb::arg("config"), nb::kw_only(),
           nb::arg("head"), nb::arg("precision"), nb::arg("num_threads") = 0,
           R"(Packs the weights, without the GIL; what was given may go afterwards.

Args:
    weights: Tensors by their canonical names: dtype as safetensors calls it ("F32", "F16" or "BF16"
        of those that are needed), shape, and bytes, uint8, row-major, little-endian, of any
        alignment.
    config: The model's shape.
    head: What becomes of a sequence's token vectors.
    precision: Type of the products.
    num_threads: Of one forward pass; 0 takes `available_cpus()`. Encoders with as many threads
        share them.

Raises:
    ModelError: A tensor is missing, damaged, or does not fit the configuration.
    UnsupportedModelError: The core does not compute this shape.)")
      .def(
          "forward", &forward, nb::arg("token_ids").noconvert(), nb::arg("offsets").noconvert(),
          nb::arg("query_lengths").noconvert(),
          R"(Computes all sequences of a batch. Calls may overlap; batches are computed as they come.

Args:
    token_ids: int32 `[num_tokens]`.
    offsets: int32 `[num_sequences + 1]`, into `token_ids`; no sequence is empty.
    query_lengths: int32 `[num_sequences]`; so many leading tokens have type 0, the others type 1.

Returns:
    float32 `[num_sequences, output_width]`.

Raises:
    InputTooLongError: A sequence has more than `max_seq_len` tokens.
    ValueError: A sequence is empty, a token id outside the vocabulary, or the arrays contradict
        each other.)")
      .def("forward_tokens", &forward_tokens, nb::arg("token_ids").noconvert(),
           nb::arg("offsets").noconvert(), nb::arg("query_lengths").noconvert(),
           R"(Computes the vector of each token, before pooling and all else of the head.

Args:
    token_ids: As in `forward`.
    offsets: As in `forward`.
    query_lengths: As in `forward`.

Returns:
    float32 `[num_tokens, token_width]`, in the order of the tokens.

Raises:
    InputTooLongError: A sequence has more than `max_seq_len` tokens.
    ValueError: A sequence is empty, a token id outside the vocabulary, or the arrays contradict
        each other.)")
      .def_prop_ro("output_width", &PackedEncoder::output_width,
                   "1 for logits, components for embeddings.")
      .def_prop_ro("token_width", &PackedEncoder::token_width, "Components of a token's vector.")
      .def_prop_ro("max_seq_len", &PackedEncoder::max_seq_len, "Longest sequence in tokens.")
      .def_prop_ro("num_threads", &PackedEncoder::num_threads, "Threads of one forward pass.")
      .def_prop_ro("scratch_bytes", &PackedEncoder::scratch_bytes,
                   "Memory for activations, reserved once.")
      .def_prop_ro("isa", &PackedEncoder::isa, "Instruction set of the kernels in use.");
}

}  // namespace twopass
