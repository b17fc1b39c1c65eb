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

// A model of two layers and two heads as a whole. That its numbers are those of BERT is for the
// Python tests, which have references; here it is batches, threads, memory, and refusals.

namespace twopass {
namespace {

using test::OwnedTensors;
using test::Samples;
using test::Shape;

using Ints = std::vector<std::int32_t>;

constexpr std::int32_t kVocabSize = 50;
constexpr std::size_t kMaxPositions = 600;
constexpr EncoderConfig kConfig{.hidden_size = 64,
                                .num_layers = 2,
                                .num_heads = 2,
                                .intermediate_size = 192,
                                .vocab_size = kVocabSize,
                                .max_positions = kMaxPositions,
                                .type_vocab_size = 2,
                                .position_offset = 0,
                                .layer_norm_epsilon = 1e-12F,
                                .gelu = Gelu::kErf};

class Model {
 public:
  Model() {
    tensor("embeddings.word_embeddings.weight", {50, 64});
    tensor("embeddings.position_embeddings.weight", {600, 64});
    tensor("embeddings.token_type_embeddings.weight", {2, 64});
    norm("embeddings.LayerNorm");
    for (const std::string layer : {"encoder.layer.0.", "encoder.layer.1."}) {
      for (const char* name : {"self.query", "self.key", "self.value", "output.dense"}) {
        dense(layer + "attention." + name, 64, 64);
      }
      norm(layer + "attention.output.LayerNorm");
      dense(layer + "intermediate.dense", 192, 64);
      dense(layer + "output.dense", 64, 192);
      norm(layer + "output.LayerNorm");
    }
    dense("pooler.dense", 64, 64);
    dense("classifier", 1, 64);
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
  void norm(const std::string& name) {
    tensors_.add(name + ".weight", "F32", {64}, std::vector<float>(64, 1.0F));
    tensor(name + ".bias", {64});
  }

  Samples samples_{1};
  OwnedTensors tensors_;
};

const StoredTensors& model() {
  static const Model model;
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

void check_independence(Output output, Precision precision) {
  const std::vector<Ints> rows = sequences();
  PackedEncoder single(model(), kConfig, output, precision, 1);
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
  for (const std::size_t num_threads : {2, 3}) {  // one sequence shared, and all of them apart
    PackedEncoder several(model(), kConfig, output, precision, num_threads);
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
    check_independence(Output::kLogit, precision);
  }
  check_independence(Output::kMeanEmbedding, Precision::kInt8);
  check_independence(Output::kClsEmbedding, Precision::kInt8);
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
  PackedEncoder reranker(model(), kConfig, Output::kLogit, Precision::kInt8, 2);
  PackedEncoder encoder(model(), kConfig, Output::kMeanEmbedding, Precision::kInt8, 2);
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
  const auto embeddings = [&](Precision precision) {
    PackedEncoder encoder(model(), kConfig, Output::kMeanEmbedding, precision, 1);
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

TEST(nothing_in_gives_nothing_out) {
  PackedEncoder encoder(model(), kConfig, Output::kLogit, Precision::kInt8, 2);
  CHECK(Batch().computed_by(encoder).empty());
}

TEST(an_encoder_says_what_it_is) {
  PackedEncoder encoder(model(), kConfig, Output::kMeanEmbedding, Precision::kInt8, 2);
  CHECK(encoder.output_width() == 64);
  CHECK(encoder.max_seq_len() == kMaxPositions);
  CHECK(encoder.num_threads() == 2);
  CHECK(!encoder.isa().empty());
  // Each thread has at least the residual stream and the context of 600 tokens.
  CHECK(encoder.scratch_bytes() > 2 * 2 * 600 * 64 * sizeof(float));
}

TEST(a_refused_batch_names_what_is_wrong_and_the_next_one_is_computed) {
  PackedEncoder encoder(model(), kConfig, Output::kLogit, Precision::kInt8, 2);
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
        part, [&] { PackedEncoder(StoredTensors(), config, Output::kLogit, Precision::kInt8, 1); });
  };
  CHECK(refusal([](auto& c) { c.hidden_size = 96; }, "hidden_size: 96 given, a multiple of 64"));
  CHECK(refusal([](auto& c) { c.hidden_size = 0; }, "hidden_size: 0 given, 1 to 4096"));
  CHECK(refusal([](auto& c) { c.hidden_size = INT64_MAX; }, "hidden_size"));
  CHECK(refusal([](auto& c) { c.intermediate_size = 100; }, "intermediate_size: 100 given"));
  CHECK(refusal([](auto& c) { c.num_heads = 4; }, "num_heads: 4 given for a hidden_size of 64"));
  CHECK(refusal([](auto& c) { c.num_heads = 3; }, "num_heads: 3"));
  CHECK(refusal([](auto& c) { c.num_layers = 0; }, "num_layers: 0 given"));
  CHECK(refusal([](auto& c) { c.vocab_size = -1; }, "vocab_size: -1 given"));
  CHECK(refusal([](auto& c) { c.type_vocab_size = 0; }, "type_vocab_size: 0 given"));
  CHECK(refusal([](auto& c) { c.max_positions = 1 << 20; }, "max_positions: 1048576 given"));
  CHECK(refusal([](auto& c) { c.position_offset = -1; }, "position_offset: -1 given"));
  CHECK(refusal([](auto& c) { c.position_offset = kMaxPositions; }, "position_offset: 600 given"));
}

TEST(tensors_that_contradict_the_configuration_are_refused) {
  EncoderConfig config = kConfig;
  config.num_layers = 3;
  CHECK_THROWS(ModelError, "encoder.layer.2.",
               PackedEncoder(model(), config, Output::kLogit, Precision::kInt8, 1));
  config = kConfig;
  config.vocab_size = 51;
  CHECK_THROWS(ModelError, "word_embeddings.weight has the shape [50, 64]",
               PackedEncoder(model(), config, Output::kLogit, Precision::kInt8, 1));
}

TEST(the_first_tensor_that_is_missing_is_named) {
  CHECK_THROWS(ModelError, "tensor embeddings.word_embeddings.weight is missing",
               PackedEncoder(StoredTensors(), kConfig, Output::kLogit, Precision::kInt8, 1));
  StoredTensors headless = model();
  headless.erase("classifier.bias");
  CHECK_THROWS(ModelError, "tensor classifier.bias is missing",
               PackedEncoder(headless, kConfig, Output::kLogit, Precision::kInt8, 1));
  PackedEncoder(headless, kConfig, Output::kMeanEmbedding, Precision::kInt8, 1);
}

TEST(an_encoder_keeps_nothing_of_the_tensors_it_was_made_of) {
  Batch batch;
  batch.add({1, 2, 3}, 1);
  auto copy = std::make_unique<Model>();
  PackedEncoder encoder(copy->tensors(), kConfig, Output::kLogit, Precision::kF32, 1);
  copy.reset();
  PackedEncoder other(model(), kConfig, Output::kLogit, Precision::kF32, 1);
  CHECK(test::same_bits(batch.computed_by(encoder), batch.computed_by(other)));
}

}  // namespace
}  // namespace twopass
