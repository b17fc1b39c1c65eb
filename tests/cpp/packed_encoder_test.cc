#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <numeric>
#include <thread>

#include "check.h"
#include "owned_tensors.h"
#include "samples.h"
#include "twopass/encoder.h"
#include "twopass/errors.h"

// Models of two layers and two heads as a whole. That their numbers are right is for the Python
// tests, which have references; here it is batches, threads, memory, and refusals.

namespace twopass {
namespace {

using test::OwnedTensors;
using test::Samples;
using test::Shape;

using Ints = std::vector<std::int32_t>;

constexpr std::int32_t kVocabSize = 50;
constexpr std::size_t kMaxSeqLen = 600;
const Head kReranker = ClassifierHead{Pooling::kCls, Activation::kTanh, false};
const Head kMeanReranker = ClassifierHead{Pooling::kMean, Activation::kGelu, true};
const Head kMeanEncoder = EmbeddingHead{{Pooling::kMean}, {}};
const Head kClsEncoder = EmbeddingHead{{Pooling::kCls}, {}};
const Head kDenseEncoder =
    EmbeddingHead{{Pooling::kMax, Pooling::kLast, Pooling::kWeightedMean, Pooling::kMeanSqrtLen},
                  {{256, 100, Activation::kTanh}, {100, 30, Activation::kIdentity}}};

// As BERT is.
const EncoderConfig kConfig{.hidden_size = 64,
                            .num_heads = 2,
                            .intermediate_size = 192,
                            .vocab_size = kVocabSize,
                            .embedding_size = 64,
                            .max_seq_len = kMaxSeqLen,
                            .num_positions = kMaxSeqLen,
                            .position_offset = 0,
                            .type_vocab_size = 2,
                            .norm_epsilon = 1e-12F,
                            .norm_first = false,
                            .first_attention_norm = true,
                            .activation = Activation::kGelu,
                            .gated = false,
                            .layers = {{}, {}},
                            .relative_distance = std::nullopt};

std::vector<float> frequencies(float base) {
  std::vector<float> inverse;
  for (int i = 0; i < 16; ++i) {
    inverse.push_back(std::pow(base, -static_cast<float>(i) / 16));
  }
  return inverse;
}

// As ModernBERT is, and two windows of unlike sizes.
EncoderConfig modern() {
  EncoderConfig config = kConfig;
  config.num_positions = config.type_vocab_size = 0;
  config.norm_first = config.gated = true;
  config.first_attention_norm = false;
  config.intermediate_size = 100;
  config.layers = {{std::nullopt, frequencies(1000)},
                   {10, frequencies(100)},
                   {64, frequencies(100)},
                   {std::nullopt, frequencies(1000)}};
  return config;
}

// With all that neither has: a projection of embeddings, biases by distance, SiLU.
EncoderConfig projected() {
  EncoderConfig config = kConfig;
  config.embedding_size = 16;
  config.num_positions = kMaxSeqLen + 2;
  config.position_offset = 2;
  config.type_vocab_size = 1;
  config.relative_distance = 50;
  config.activation = Activation::kSilu;
  return config;
}

class Model {
 public:
  explicit Model(const EncoderConfig& config)
      : hidden_(static_cast<std::uint64_t>(config.hidden_size)) {
    const auto size = [](std::int64_t size) { return static_cast<std::uint64_t>(size); };
    const std::uint64_t width = size(config.embedding_size), inner = size(config.intermediate_size);
    tensor("embeddings.words.weight", {size(config.vocab_size), width});
    tensor("embeddings.positions.weight", {size(config.num_positions), width});
    tensor("embeddings.types.weight", {size(config.type_vocab_size), width});
    norm("embeddings.norm", width);
    dense("embeddings.projection", hidden_, width);
    for (std::size_t n = 0; n < config.layers.size(); ++n) {
      const std::string layer = "layers." + std::to_string(n) + ".";
      for (const char* name : {"query", "key", "value", "output"}) {
        dense(layer + "attention." + name, hidden_, hidden_);
      }
      norm(layer + "attention_norm", hidden_);
      dense(layer + "mlp.up", inner, hidden_);
      dense(layer + "mlp.gate", inner, hidden_);
      dense(layer + "mlp.down", hidden_, inner);
      norm(layer + "mlp_norm", hidden_);
    }
    norm("final_norm", hidden_);
    dense("head.dense", hidden_, hidden_);
    norm("head.norm", hidden_);
    dense("head.projection", 1, hidden_);
    dense("embedding.dense.0", 100, 4 * hidden_);
    dense("embedding.dense.1", 30, 100);
    tensor("relative_bias", {2, 2 * size(config.relative_distance.value_or(0)) + 1});
  }

  const StoredTensors& tensors() const { return tensors_.stored(); }

 private:
  void tensor(const std::string& name, const Shape& shape) {
    const std::uint64_t size = shape[0] * (shape.size() == 2 ? shape[1] : 1);
    tensors_.add(name, "F32", shape, samples_.reals(size, 0.5F));
  }
  void dense(const std::string& name, std::uint64_t width, std::uint64_t depth) {
    tensor(name + ".weight", {width, depth});
    tensor(name + ".bias", {width});
  }
  void norm(const std::string& name, std::uint64_t width) {
    tensors_.add(name + ".weight", "F32", {width}, std::vector<float>(width, 1.0F));
    tensor(name + ".bias", {width});
  }

  Samples samples_{1};
  std::uint64_t hidden_;
  OwnedTensors tensors_;
};

const StoredTensors& model() {
  static const Model model(kConfig);
  return model.tensors();
}

struct Batch {
  Ints token_ids, offsets{0}, query_lengths;

  void add(const Ints& row, std::int32_t query_length) {
    token_ids.insert(token_ids.end(), row.begin(), row.end());
    offsets.push_back(static_cast<std::int32_t>(token_ids.size()));
    query_lengths.push_back(query_length);
  }
  std::vector<float> computed_by(PackedEncoder& encoder) const {
    return encoder.forward({token_ids, offsets}, query_lengths);
  }
  std::vector<float> tokens_by(PackedEncoder& encoder) const {
    return encoder.forward_tokens({token_ids, offsets}, query_lengths);
  }
};

// Lengths around the blocks of 32 and 64 and the group of 512, and one longer than any group.
std::vector<Ints> sequences() {
  Samples samples(2);
  std::vector<Ints> rows;
  for (const std::size_t length : {1, 2, 31, 32, 33, 63, 64, 65, 200, 512, 600}) {
    Ints row(length);
    for (std::int32_t& id : row) {
      id = samples.integer(0, kVocabSize - 1);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::int32_t query_length_of(const Ints& row) { return static_cast<std::int32_t>(row.size() / 3); }

void check_independence(const EncoderConfig& config, const Head& head, Precision precision) {
  const Model model(config);
  const std::vector<Ints> rows = sequences();
  PackedEncoder single(model.tensors(), config, head, precision, 1);
  std::vector<std::vector<float>> alone;
  Batch all;
  for (const Ints& row : rows) {
    Batch batch;
    batch.add(row, query_length_of(row));
    alone.push_back(batch.computed_by(single));
    CHECK(alone.back().size() == single.output_width());
    CHECK(std::all_of(alone.back().begin(), alone.back().end(),
                      [](float x) { return std::isfinite(x); }));
    all.add(row, query_length_of(row));
  }
  const auto same_as_alone = [&](PackedEncoder& encoder, const Batch& batch,
                                 const std::vector<std::size_t>& order) {
    const std::vector<float> results = batch.computed_by(encoder);
    const std::size_t width = encoder.output_width();
    for (std::size_t i = 0; i < order.size(); ++i) {
      CHECK(test::same_bits(std::span(results).subspan(i * width, width), alone[order[i]]));
    }
  };
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  same_as_alone(single, all, order);
  for (const std::size_t num_threads : {2, 3, 5}) {  // one sequence shared, and all of them apart
    PackedEncoder several(model.tensors(), config, head, precision, num_threads);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      Batch batch;
      batch.add(rows[i], query_length_of(rows[i]));
      same_as_alone(several, batch, {i});
    }
    same_as_alone(several, all, order);
  }
}

TEST(a_sequence_gets_the_same_bits_alone_or_not_on_one_thread_or_several) {
  for (const Precision precision : {Precision::kInt8, Precision::kBf16, Precision::kF32}) {
    check_independence(kConfig, kReranker, precision);
    check_independence(modern(), kMeanReranker, precision);
    check_independence(projected(), kReranker, precision);
  }
  for (const Head& head : {kMeanEncoder, kClsEncoder, kDenseEncoder}) {
    check_independence(kConfig, head, Precision::kInt8);
    check_independence(modern(), head, Precision::kInt8);
  }
}

// An encoder and a reranker on the same threads, each called from two, by one sequence (shared
// among the threads) and by all of them (a group to each).
TEST(calls_that_overlap_give_the_same_bits) {
  const std::vector<Ints> rows = sequences();
  Batch one, all;
  one.add(rows[8], query_length_of(rows[8]));
  for (const Ints& row : rows) {
    all.add(row, query_length_of(row));
  }
  PackedEncoder reranker(model(), kConfig, kReranker, Precision::kInt8, 2);
  PackedEncoder encoder(model(), kConfig, kMeanEncoder, Precision::kInt8, 2);
  std::vector<std::thread> callers;
  std::atomic<int> num_different = 0;
  for (PackedEncoder* model : {&reranker, &encoder, &reranker, &encoder}) {
    callers.emplace_back(
        [&, model, from_one = one.computed_by(*model), from_all = all.computed_by(*model)] {
          for (int round = 0; round < 20; ++round) {
            num_different += test::same_bits(one.computed_by(*model), from_one) ? 0 : 1;
            num_different += test::same_bits(all.computed_by(*model), from_all) ? 0 : 1;
          }
        });
  }
  for (std::thread& caller : callers) {
    caller.join();
  }
  CHECK(num_different == 0);
}

TEST(lower_precision_is_close_to_float32) {
  Batch batch;
  for (const Ints& row : sequences()) {
    batch.add(row, query_length_of(row));
  }
  for (const EncoderConfig& config : {kConfig, modern(), projected()}) {
    const Model model(config);
    const auto embeddings = [&](Precision precision) {
      PackedEncoder encoder(model.tensors(), config, kMeanEncoder, precision, 1);
      return batch.computed_by(encoder);
    };
    const std::vector<float> exact = embeddings(Precision::kF32);
    for (const Precision precision : {Precision::kBf16, Precision::kInt8}) {
      const std::vector<float> rounded = embeddings(precision);
      for (std::size_t i = 0; i < exact.size(); i += 64) {  // both of length 1
        CHECK(std::inner_product(exact.begin() + static_cast<std::ptrdiff_t>(i),
                                 exact.begin() + static_cast<std::ptrdiff_t>(i + 64),
                                 rounded.begin() + static_cast<std::ptrdiff_t>(i), 0.0) > 0.99);
      }
    }
  }
}

TEST(what_lies_outside_every_window_of_every_layer_changes_nothing) {
  EncoderConfig config = modern();
  config.layers = {{10, frequencies(100)}, {64, frequencies(100)}};
  const Model model(config);
  PackedEncoder encoder(model.tensors(), config, kClsEncoder, Precision::kF32, 1);
  const Ints row = sequences().back();
  const auto first = [&](std::size_t changed) {
    Ints other = row;
    other[changed] = (other[changed] + 1) % kVocabSize;
    Batch batch;
    batch.add(other, 1);
    return batch.computed_by(encoder);
  };
  CHECK(test::same_bits(first(75), first(599)));
  CHECK(!test::same_bits(first(74), first(599)));
}

TEST(an_embedding_is_as_wide_as_its_head_makes_it) {
  const auto width = [](const Head& head) {
    return PackedEncoder(model(), kConfig, head, Precision::kInt8, 1).output_width();
  };
  CHECK(width(EmbeddingHead{{Pooling::kCls, Pooling::kMean}, {}}) == 128);
  CHECK(width(kDenseEncoder) == 30);
  CHECK_THROWS(UnsupportedModelError, "embedding.dense.0: takes 256 components, is given 64",
               width(EmbeddingHead{{Pooling::kCls}, {{256, 100, Activation::kTanh}}}));
  CHECK_THROWS(UnsupportedModelError, "poolings: none given", width(EmbeddingHead{{}, {}}));
}

// The first token's vector, scaled to length 1, is what a head of kCls alone makes of a sequence,
// though that head computes no other token after the last attention.
TEST(tokens_have_the_vectors_that_the_head_reads_whatever_they_are_batched_with) {
  for (const Precision precision : {Precision::kF32, Precision::kInt8}) {
    for (const std::size_t num_threads : {1, 3}) {
      PackedEncoder encoder(model(), kConfig, EmbeddingHead{{Pooling::kCls}, {}}, precision,
                            num_threads);
      const std::size_t width = encoder.token_width();
      Batch all;
      for (const Ints& row : sequences()) {
        all.add(row, query_length_of(row));
      }
      const std::vector<float> tokens = all.tokens_by(encoder);
      const std::vector<float> embeddings = all.computed_by(encoder);
      CHECK(tokens.size() == all.token_ids.size() * width);
      std::size_t number = 0;
      for (const Ints& row : sequences()) {
        Batch batch;
        batch.add(row, query_length_of(row));
        const auto first = static_cast<std::size_t>(all.offsets[number]);
        const auto mine = std::span(tokens).subspan(first * width, row.size() * width);
        CHECK(test::same_bits(mine, batch.tokens_by(encoder)));
        const auto head = mine.first(width);
        const float length =
            std::sqrt(std::inner_product(head.begin(), head.end(), head.begin(), 0.0F));
        for (std::size_t c = 0; c < width; ++c) {
          CHECK(std::abs(head[c] / length - embeddings[number * width + c]) < 1e-5F);
        }
        ++number;
      }
    }
  }
}

TEST(nothing_in_gives_nothing_out) {
  PackedEncoder encoder(model(), kConfig, kReranker, Precision::kInt8, 2);
  CHECK(Batch().computed_by(encoder).empty());
}

TEST(an_encoder_says_what_it_is) {
  PackedEncoder encoder(model(), kConfig, kMeanEncoder, Precision::kInt8, 2);
  CHECK(encoder.output_width() == 64);
  CHECK(encoder.max_seq_len() == kMaxSeqLen);
  CHECK(encoder.num_threads() == 2);
  CHECK(!encoder.isa().empty());
  // Each thread has at least the residual stream and the context of 600 tokens.
  CHECK(encoder.scratch_bytes() > 2 * 2 * 600 * 64 * sizeof(float));
}

TEST(a_refused_batch_names_what_is_wrong_and_the_next_one_is_computed) {
  PackedEncoder encoder(model(), kConfig, kReranker, Precision::kInt8, 2);
  const auto compute = [&](const Ints& row, std::int32_t query_length) {
    Batch batch;
    batch.add({1, 2, 3}, 1);
    batch.add(row, query_length);
    return batch.computed_by(encoder);
  };
  CHECK_THROWS(InputTooLongError, "sequence 1: 601 tokens given, at most 600",
               compute(Ints(601, 1), 1));
  CHECK_THROWS(std::invalid_argument, "sequence 1: 0 tokens given, at least 1", compute({}, 0));
  for (const std::int32_t id : {-1, kVocabSize}) {
    CHECK_THROWS(std::invalid_argument,
                 "sequence 1: token id " + std::to_string(id) + " given, at least 0 and below 50",
                 compute({1, id}, 1));
  }
  CHECK_THROWS(std::invalid_argument, "query_lengths[1]: -1 given, at least 0", compute({1}, -1));
  CHECK_THROWS(std::invalid_argument, "query_lengths: 0 given, one for each of 1",
               encoder.forward({Ints{1}, Ints{0, 1}}, {}));
  CHECK(compute({0, kVocabSize - 1}, 1000).size() == 2);
}

// --- models --------------------------------------------------------------------------------------

TEST(shapes_that_are_not_computed_are_refused_before_a_tensor_is_read) {
  const auto refusal = [](auto change, std::string_view part) {
    EncoderConfig config = kConfig;
    change(config);
    return test::throws_with<UnsupportedModelError>(
        part, [&] { PackedEncoder(StoredTensors(), config, kReranker, Precision::kInt8, 1); });
  };
  CHECK(refusal([](auto& c) { c.hidden_size = 96; }, "hidden_size: 96 given, a multiple of 64"));
  CHECK(refusal([](auto& c) { c.hidden_size = 0; }, "hidden_size: 0 given, 1 to 4096"));
  CHECK(refusal([](auto& c) { c.hidden_size = INT64_MAX; }, "hidden_size"));
  CHECK(refusal([](auto& c) { c.intermediate_size = 0; }, "intermediate_size: 0 given"));
  CHECK(refusal([](auto& c) { c.embedding_size = 24; },
                "embedding_size: 24 given, a multiple of 16"));
  CHECK(refusal([](auto& c) { c.num_heads = 4; }, "num_heads: 4 given for a hidden_size of 64"));
  CHECK(refusal([](auto& c) { c.num_heads = 3; }, "num_heads: 3"));
  CHECK(refusal([](auto& c) { c.layers.clear(); }, "layers: 0 given"));
  CHECK(refusal([](auto& c) { c.vocab_size = -1; }, "vocab_size: -1 given"));
  CHECK(refusal([](auto& c) { c.type_vocab_size = -1; }, "type_vocab_size: -1 given"));
  CHECK(refusal([](auto& c) { c.max_seq_len = 1 << 20; }, "max_seq_len: 1048576 given"));
  CHECK(refusal([](auto& c) { c.position_offset = -1; }, "position_offset: -1 given"));
  CHECK(refusal([](auto& c) { c.position_offset = 1; }, "position_offset: 1 given, 0 to 0"));
  CHECK(refusal([](auto& c) { c.layers[1].window = -1; }, "window: -1 given"));
  CHECK(refusal([](auto& c) { c.layers[1].inverse_frequencies = {1.0F}; },
                "inverse_frequencies: 1 given, one for each pair of 32"));
  CHECK(refusal([](auto& c) { c.activation = Activation::kTanh; }, "activation"));
}

TEST(tensors_that_contradict_the_configuration_are_refused) {
  EncoderConfig config = kConfig;
  config.layers.resize(3);
  CHECK_THROWS(ModelError, "layers.2.",
               PackedEncoder(model(), config, kReranker, Precision::kInt8, 1));
  config = kConfig;
  config.vocab_size = 51;
  CHECK_THROWS(ModelError, "embeddings.words.weight has the shape [50, 64]",
               PackedEncoder(model(), config, kReranker, Precision::kInt8, 1));
}

TEST(the_first_tensor_that_is_missing_is_named) {
  CHECK_THROWS(ModelError, "tensor embeddings.words.weight is missing",
               PackedEncoder(StoredTensors(), kConfig, kReranker, Precision::kInt8, 1));
  StoredTensors headless = model();
  headless.erase("head.projection.bias");
  CHECK_THROWS(ModelError, "tensor head.projection.bias is missing",
               PackedEncoder(headless, kConfig, kReranker, Precision::kInt8, 1));
  PackedEncoder(headless, kConfig, kMeanEncoder, Precision::kInt8, 1);
}

TEST(an_encoder_keeps_nothing_of_the_tensors_it_was_made_of) {
  Batch batch;
  batch.add({1, 2, 3}, 1);
  auto copy = std::make_unique<Model>(kConfig);
  PackedEncoder encoder(copy->tensors(), kConfig, kReranker, Precision::kF32, 1);
  copy.reset();
  PackedEncoder other(model(), kConfig, kReranker, Precision::kF32, 1);
  CHECK(test::same_bits(batch.computed_by(encoder), batch.computed_by(other)));
}

}  // namespace
}  // namespace twopass
