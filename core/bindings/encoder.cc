#include "twopass/encoder.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <map>
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

void bind_config(nb::module_& m) {
  nb::enum_<Precision>(m, "Precision", "Type of the products of weights and activations.")
      .value("F32", Precision::kF32)
      .value("BF16", Precision::kBf16)
      .value("INT8", Precision::kInt8);
  nb::enum_<Gelu>(m, "Gelu", "Which GELU the model was trained with.")
      .value("ERF", Gelu::kErf)
      .value("TANH", Gelu::kTanh);
  nb::enum_<Output>(m, "Output", "What a forward pass returns of each sequence.")
      .value("LOGIT", Output::kLogit)
      .value("MEAN_EMBEDDING", Output::kMeanEmbedding)
      .value("CLS_EMBEDDING", Output::kClsEmbedding);
  nb::class_<EncoderConfig>(m, "EncoderConfig",
                            "Shape of a BERT-family encoder with absolute positions.")
      .def(
          "__init__",
          [](EncoderConfig* self, std::int64_t hidden_size, std::int64_t num_layers,
             std::int64_t num_heads, std::int64_t intermediate_size, std::int64_t vocab_size,
             std::int64_t max_positions, std::int64_t type_vocab_size, std::int64_t position_offset,
             float layer_norm_epsilon, Gelu gelu) {
            new (self) EncoderConfig{
                hidden_size,   num_layers,      num_heads,       intermediate_size,  vocab_size,
                max_positions, type_vocab_size, position_offset, layer_norm_epsilon, gelu};
          },
          nb::kw_only(), nb::arg("hidden_size"), nb::arg("num_layers"), nb::arg("num_heads"),
          nb::arg("intermediate_size"), nb::arg("vocab_size"), nb::arg("max_positions"),
          nb::arg("type_vocab_size"), nb::arg("position_offset"), nb::arg("layer_norm_epsilon"),
          nb::arg("gelu"));
}

// Dtype, shape and bytes of each tensor.
using BoundTensors =
    std::map<std::string,
             std::tuple<std::string, std::vector<std::uint64_t>, InputArray<std::uint8_t>>>;

void construct(PackedEncoder* self, const BoundTensors& weights, const EncoderConfig& config,
               Output output, Precision precision, std::size_t num_threads) {
  StoredTensors tensors;
  for (const auto& [name, tensor] : weights) {
    const auto& [dtype, shape, bytes] = tensor;
    tensors[name] = {dtype, shape, std::as_bytes(as_span(bytes))};
  }
  without_gil(
      [&] { return new (self) PackedEncoder(tensors, config, output, precision, num_threads); });
}

nb::ndarray<nb::numpy, float, nb::c_contig> forward(PackedEncoder& encoder, const Int32s& token_ids,
                                                    const Int32s& offsets,
                                                    const Int32s& query_lengths) {
  const std::size_t num_sequences = query_lengths.size();
  std::vector<float> results = without_gil([&] {
    return encoder.forward(RaggedView(as_span(token_ids), as_span(offsets)),
                           as_span(query_lengths));
  });
  auto owned = std::make_unique<std::vector<float>>(std::move(results));
  const nb::capsule owner(owned.get(), [](void* pointer) noexcept {
    delete static_cast<std::vector<float>*>(pointer);
  });
  return {owned.release()->data(), {num_sequences, encoder.output_width()}, owner};
}

}  // namespace

void bind_encoder(nb::module_& m) {
  bind_errors(m);
  bind_isas(m);
  bind_config(m);
  nb::class_<PackedEncoder>(m, "PackedEncoder",
                            R"(A BERT-family encoder over packed batches: nothing is padded.

What a sequence gets is the same bit for bit whatever it is batched with, in whatever order, with
however many threads.)")
      .def("__init__", &construct, nb::arg("weights"), nb::arg("config"), nb::kw_only(),
           nb::arg("output"), nb::arg("precision"), nb::arg("num_threads") = 0,
           R"(Packs the weights, without the GIL; what was given may go afterwards.

Args:
    weights: Tensors by the names of Hugging Face's BertModel: dtype as safetensors calls it ("F32",
        "F16" or "BF16" of those that are needed), shape, and bytes, uint8, row-major,
        little-endian, of any alignment.
    config: The model's shape.
    output: What `forward` returns.
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
      .def_prop_ro("output_width", &PackedEncoder::output_width,
                   "1 for logits, hidden_size for embeddings.")
      .def_prop_ro("max_seq_len", &PackedEncoder::max_seq_len, "Longest sequence in tokens.")
      .def_prop_ro("num_threads", &PackedEncoder::num_threads, "Threads of one forward pass.")
      .def_prop_ro("scratch_bytes", &PackedEncoder::scratch_bytes,
                   "Memory for activations, allocated once.")
      .def_prop_ro("isa", &PackedEncoder::isa, "Instruction set of the kernels in use.");
}

}  // namespace twopass
