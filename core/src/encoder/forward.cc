#include "encoder/forward.h"

#include <algorithm>
#include <cmath>

#include "encoder/head.h"

namespace twopass {
namespace {

// Tokens that go through a layer's second half together: the intermediate activations of a block
// stay in the second cache beside the weights.
constexpr std::size_t kBlockTokens = 64;

std::size_t head_dim_of(const EncoderConfig& config) {
  return static_cast<std::size_t>(config.hidden_size / config.num_heads);
}

std::size_t padded(std::size_t num_rows) { return (num_rows + kRowTile - 1) / kRowTile * kRowTile; }

}  // namespace

HeadScratch::HeadScratch(const KernelTable& kernels, const EncoderConfig& config,
                         Precision precision, std::size_t max_tokens, std::size_t max_seq_len)
    : projected(padded(max_tokens) * 3 * head_dim_of(config)),
      attention(kernels, precision != Precision::kF32 && kernels.has_fast_bf16, max_seq_len,
                head_dim_of(config)) {}

GroupScratch::GroupScratch(const EncoderConfig& config, Precision precision, std::size_t max_tokens)
    : hidden(padded(max_tokens) * static_cast<std::size_t>(config.hidden_size)),
      context(hidden.size()),
      intermediate(kBlockTokens * static_cast<std::size_t>(config.intermediate_size)),
      encoded_hidden(precision, max_tokens, static_cast<std::size_t>(config.hidden_size)),
      encoded_context(precision, max_tokens, static_cast<std::size_t>(config.hidden_size)),
      encoded_intermediate(precision, kBlockTokens,
                           static_cast<std::size_t>(config.intermediate_size)) {}

std::size_t GroupScratch::num_bytes() const {
  return hidden.num_bytes() + context.num_bytes() + intermediate.num_bytes() +
         encoded_hidden.num_bytes() + encoded_context.num_bytes() +
         encoded_intermediate.num_bytes();
}

// One team member's way through one group. Between barriers each member writes only its own share.
class Forward::Pass {
 public:
  Pass(const Forward& forward, std::span<const Sequence> sequences, const Team& team,
       GroupScratch& group, HeadScratch& own)
      : kernels_(forward.kernels_),
        config_(forward.config_),
        weights_(forward.weights_),
        output_(forward.output_),
        sequences_(sequences),
        team_(team),
        group_(group),
        own_(own),
        hidden_size_(static_cast<std::size_t>(config_.hidden_size)) {
    for (const Sequence& sequence : sequences) {
      starts_.push_back(num_tokens_);
      num_tokens_ += sequence.token_ids.size();
    }
  }

  void run() {
    embed();
    for (std::size_t layer = 0; layer < weights_.layers.size(); ++layer) {
      const LayerWeights& weights = weights_.layers[layer];
      const LayerWeights* next =
          layer + 1 < weights_.layers.size() ? &weights_.layers[layer + 1] : nullptr;
      // After the last layer only first tokens are read: all else about the others is left out.
      const bool first_tokens_only = next == nullptr && output_ != Output::kMeanEmbedding;
      attend(weights, first_tokens_only);
      const std::size_t num_rows = first_tokens_only ? sequences_.size() : num_tokens_;
      if (first_tokens_only) {
        gather_first_tokens();
      }
      for (std::size_t first = 0; first < num_rows; first += kBlockTokens) {
        feed_forward(weights, first, std::min(first + kBlockTokens, num_rows), next);
      }
    }
    write_results();
  }

 private:
  float* hidden_row(std::size_t row) const { return group_.hidden.data() + row * hidden_size_; }
  float* context_row(std::size_t row) const { return group_.context.data() + row * hidden_size_; }

  void normalize(const LayerNormWeights& norm, std::size_t first, std::size_t last) const {
    kernels_.layer_norm(hidden_row(first), last - first, hidden_size_, norm.scale.data(),
                        norm.shift.data(), config_.layer_norm_epsilon);
  }

  // Word, position and type embeddings, normalised; sequences are shared among members by tokens.
  void embed() {
    const Share mine = team_.share(num_tokens_);
    for (std::size_t i = 0; i < sequences_.size(); ++i) {
      const std::size_t end = starts_[i] + sequences_[i].token_ids.size();
      const std::size_t first = std::max(mine.first, starts_[i]);
      for (std::size_t row = first; row < std::min(mine.last, end); ++row) {
        embed_token(sequences_[i], row - starts_[i], hidden_row(row));
      }
    }
    normalize(weights_.embedding_norm, mine.first, mine.last);
    group_.encoded_hidden.encode(kernels_, weights_.layers[0].heads, group_.hidden.data(),
                                 mine.first, mine.last);
    team_.barrier.wait();
  }

  void embed_token(const Sequence& sequence, std::size_t place, float* row) const {
    const auto id = static_cast<std::size_t>(sequence.token_ids[place]);
    const auto position = place + static_cast<std::size_t>(config_.position_offset);
    const std::size_t type = place >= sequence.query_length && config_.type_vocab_size > 1 ? 1 : 0;
    const float* word = weights_.words.data() + id * hidden_size_;
    const float* where = weights_.positions.data() + position * hidden_size_;
    const float* kind = weights_.types.data() + type * hidden_size_;
    for (std::size_t c = 0; c < hidden_size_; ++c) {
      row[c] = word[c] + where[c] + kind[c];
    }
  }

  // The members share the heads: each projects all tokens for a head, then attends.
  void attend(const LayerWeights& weights, bool first_tokens_only) {
    const std::size_t head_dim = head_dim_of(config_);
    const std::size_t panels = head_dim / kPanelWidth;
    const Share mine = team_.share(static_cast<std::size_t>(config_.num_heads));
    for (std::size_t head = mine.first; head < mine.last; ++head) {
      weights.heads.multiply(kernels_, group_.encoded_hidden, 0, num_tokens_, head * 3 * panels,
                             (head + 1) * 3 * panels, {own_.projected.data(), 3 * head_dim});
      for (std::size_t i = 0; i < sequences_.size(); ++i) {
        const float* queries = own_.projected.data() + starts_[i] * 3 * head_dim;
        const std::size_t seq_len = sequences_[i].token_ids.size();
        own_.attention.attend({queries, queries + head_dim, queries + 2 * head_dim, 3 * head_dim,
                               3 * head_dim, first_tokens_only ? 1 : seq_len, seq_len},
                              context_row(starts_[i]) + head * head_dim, hidden_size_);
      }
    }
    team_.barrier.wait();
  }

  // Moves the first token of sequence i to row i, which is never behind it.
  void gather_first_tokens() {
    if (team_.member == 0) {
      for (std::size_t i = 0; i < sequences_.size(); ++i) {
        std::copy_n(hidden_row(starts_[i]), hidden_size_, hidden_row(i));
        std::copy_n(context_row(starts_[i]), hidden_size_, context_row(i));
      }
    }
    team_.barrier.wait();
  }

  // What follows attention, for the tokens [first, last). The members share rows of what goes row
  // by row, and columns of products.
  void feed_forward(const LayerWeights& weights, std::size_t first, std::size_t last,
                    const LayerWeights* next) {
    const std::size_t num_rows = last - first;
    const Share rows = team_.share(num_rows);
    const std::size_t my_first = first + rows.first, my_last = first + rows.last;

    group_.encoded_context.encode(kernels_, weights.attention_output, group_.context.data(),
                                  my_first, my_last);
    team_.barrier.wait();
    multiply(weights.attention_output, group_.encoded_context, first, num_rows, hidden_row(first),
             Epilogue::kAdd);
    team_.barrier.wait();
    normalize(weights.attention_norm, my_first, my_last);
    group_.encoded_hidden.encode(kernels_, weights.intermediate, group_.hidden.data(), my_first,
                                 my_last);
    team_.barrier.wait();
    multiply(weights.intermediate, group_.encoded_hidden, first, num_rows,
             group_.intermediate.data(), Epilogue::kGelu);
    team_.barrier.wait();
    group_.encoded_intermediate.encode(kernels_, weights.output, group_.intermediate.data(),
                                       rows.first, rows.last);
    team_.barrier.wait();
    multiply(weights.output, group_.encoded_intermediate, 0, num_rows, hidden_row(first),
             Epilogue::kAdd);
    team_.barrier.wait();
    normalize(weights.output_norm, my_first, my_last);
    if (next != nullptr) {
      group_.encoded_hidden.encode(kernels_, next->heads, group_.hidden.data(), my_first, my_last);
    }
    team_.barrier.wait();
  }

  // This member's columns of a product.
  void multiply(const Linear& linear, const EncodedRows& rows, std::size_t first_row,
                std::size_t num_rows, float* output, Epilogue epilogue) const {
    const Share panels = team_.share(linear.num_panels());
    const std::size_t width = linear.num_panels() * kPanelWidth;
    linear.multiply(
        kernels_, rows, first_row, num_rows, panels.first, panels.last,
        {output + panels.first * kPanelWidth, width, epilogue, &gelu_coefficients(config_.gelu)});
  }

  void write_results() const {
    const Share mine = team_.share(sequences_.size());
    for (std::size_t i = mine.first; i < mine.last; ++i) {
      const Sequence& sequence = sequences_[i];
      switch (output_) {
        case Output::kLogit:
          *sequence.result = classify(*weights_.classifier, {hidden_row(i), hidden_size_});
          break;
        case Output::kClsEmbedding:
          write_embedding(hidden_row(i), 1, hidden_size_, sequence.result);
          break;
        case Output::kMeanEmbedding:
          write_embedding(hidden_row(starts_[i]), sequence.token_ids.size(), hidden_size_,
                          sequence.result);
          break;
      }
    }
    team_.barrier.wait();
  }

  const KernelTable& kernels_;
  const EncoderConfig& config_;
  const EncoderWeights& weights_;
  const Output output_;
  const std::span<const Sequence> sequences_;
  const Team& team_;
  GroupScratch& group_;
  HeadScratch& own_;
  const std::size_t hidden_size_;
  std::vector<std::size_t> starts_;  // [num_sequences] the row of each one's first token
  std::size_t num_tokens_ = 0;
};

void Forward::run(std::span<const Sequence> sequences, const Team& team, GroupScratch& group,
                  HeadScratch& own) const {
  kernels_.begin();
  Pass(*this, sequences, team, group, own).run();
  kernels_.end();
}

}  // namespace twopass
