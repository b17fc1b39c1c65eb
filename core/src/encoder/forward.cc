#include "encoder/forward.h"

#include <algorithm>

#include "encoder/head.h"
#include "ops/activation.h"

namespace twopass {
namespace {

// Tokens that go through a layer's second half together: the intermediate activations of a block
// stay in the second cache beside the weights.
constexpr std::size_t kBlockTokens = 64;

// The same of a team: larger blocks, so that its members wait for each other less often, and each
// has rows and columns enough.
constexpr std::size_t kMaxBlockTokens = 256;

// Queries of a long sequence that a member of a team takes at a time: packing the keys for them is
// a thirtieth of the work.
constexpr std::size_t kQueriesAtATime = 2 * Attention::kBlockRows;

// Rows that are normalised and at once encoded, while they are in the first cache.
constexpr std::size_t kNormRows = 8;

std::size_t size_of(std::int64_t size) { return static_cast<std::size_t>(size); }

std::size_t head_dim_of(const EncoderConfig& config) {
  return size_of(config.hidden_size / config.num_heads);
}

// Rows of what only a projection of embeddings needs.
std::size_t embedded_rows(const EncoderConfig& config) {
  return config.embedding_size != config.hidden_size ? kBlockTokens : 0;
}

std::size_t padded(std::size_t num_rows) { return (num_rows + kRowTile - 1) / kRowTile * kRowTile; }

}  // namespace

OwnScratch::OwnScratch(const KernelTable& kernels, const EncoderConfig& config, Precision precision,
                       std::size_t max_tokens)
    : projected(padded(max_tokens) * 3 * head_dim_of(config)),
      normalized(kNormRows * size_of(config.hidden_size)),
      embedded(embedded_rows(config) * embedding_width(config)),
      encoded_embedded(precision, embedded_rows(config), embedding_width(config)),
      attention(kernels, precision != Precision::kF32 && kernels.has_fast_bf16,
                size_of(config.max_seq_len), head_dim_of(config)) {}

std::size_t OwnScratch::num_bytes() const {
  return projected.num_bytes() + normalized.num_bytes() + embedded.num_bytes() +
         encoded_embedded.num_bytes() + attention.num_bytes();
}

GroupScratch::GroupScratch(const EncoderConfig& config, Precision precision, std::size_t max_tokens)
    : hidden(padded(max_tokens) * size_of(config.hidden_size)),
      context(hidden.size()),
      projected(3 * hidden.size()),
      intermediate(kMaxBlockTokens * intermediate_width(config)),
      encoded_hidden(precision, max_tokens, size_of(config.hidden_size)),
      encoded_context(precision, max_tokens, size_of(config.hidden_size)),
      encoded_intermediate(precision, kMaxBlockTokens, intermediate_width(config)) {}

std::size_t GroupScratch::num_bytes() const {
  return hidden.num_bytes() + context.num_bytes() + projected.num_bytes() +
         intermediate.num_bytes() + encoded_hidden.num_bytes() + encoded_context.num_bytes() +
         encoded_intermediate.num_bytes();
}

// One team member's way through one group. Between barriers each member writes only its own share.
class Forward::Pass {
 public:
  Pass(const Forward& forward, std::span<const Sequence> sequences, Output output, const Team& team,
       GroupScratch& group, OwnScratch& own)
      : kernels_(forward.kernels_),
        config_(forward.config_),
        weights_(forward.weights_),
        sequences_(sequences),
        output_(output),
        reads_first_tokens_only_(output == Output::kOfHead &&
                                 forward.weights_.head.reads_first_tokens_only()),
        team_(team),
        group_(group),
        own_(own),
        hidden_size_(size_of(config_.hidden_size)),
        head_dim_(head_dim_of(config_)),
        block_tokens_(std::min(kMaxBlockTokens, kBlockTokens * team.num_members)) {
    for (const Sequence& sequence : sequences) {
      starts_.push_back(num_tokens_);
      num_tokens_ += sequence.token_ids.size();
    }
  }

  void run() {
    embed();
    for (std::size_t layer = 0; layer < weights_.layers.size(); ++layer) {
      const bool is_last = layer + 1 == weights_.layers.size();
      // After the last layer all else about other tokens than the first is left out, where only
      // these are read.
      const bool first_tokens_only = is_last && reads_first_tokens_only_;
      attend(layer, first_tokens_only);
      const std::size_t num_rows = first_tokens_only ? sequences_.size() : num_tokens_;
      if (first_tokens_only) {
        gather_first_tokens();
      }
      for (std::size_t first = 0; first < num_rows; first += block_tokens_) {
        feed_forward(layer, first, std::min(first + block_tokens_, num_rows));
      }
    }
    write_output();
  }

 private:
  float* hidden_row(std::size_t row) const { return group_.hidden.data() + row * hidden_size_; }
  float* context_row(std::size_t row) const { return group_.context.data() + row * hidden_size_; }

  // Word, position and type embeddings, normalised; sequences are shared among members by tokens.
  void embed() {
    const Share mine = team_.share(num_tokens_);
    if (weights_.embedding_projection) {
      for (std::size_t first = mine.first; first < mine.last; first += kBlockTokens) {
        embed_and_project(first, std::min(first + kBlockTokens, mine.last));
      }
    } else {
      embed_tokens(mine.first, mine.last, hidden_row(mine.first), hidden_size_);
    }
    encode(weights_.layers[0].heads, before_attention(0), mine.first, mine.last);
    team_.barrier.wait();
  }

  // Rows of output are stride apart.
  void embed_tokens(std::size_t first, std::size_t last, float* output, std::size_t stride) const {
    const LayerNormWeights& norm = weights_.embedding_norm;
    for (std::size_t i = 0; i < sequences_.size(); ++i) {
      const std::size_t end = starts_[i] + sequences_[i].token_ids.size();
      for (std::size_t token = std::max(first, starts_[i]); token < std::min(last, end); ++token) {
        float* row = output + (token - first) * stride;
        embed_token(sequences_[i], token - starts_[i], row);
        kernels_.layer_norm(row, 1, size_of(config_.embedding_size), norm.scale.data(),
                            norm.shift.data(), config_.norm_epsilon, row);
      }
    }
  }

  void embed_token(const Sequence& sequence, std::size_t place, float* row) const {
    const std::size_t width = size_of(config_.embedding_size);
    const auto add = [row, width](const std::vector<float>& table, std::size_t index) {
      const float* summand = table.data() + index * width;
      for (std::size_t c = 0; c < width; ++c) {
        row[c] += summand[c];
      }
    };
    const auto id = static_cast<std::size_t>(sequence.token_ids[place]);
    std::copy_n(weights_.words.data() + id * width, width, row);
    if (config_.num_positions > 0) {
      add(weights_.positions, place + size_of(config_.position_offset));
    }
    if (config_.type_vocab_size > 0) {
      const bool is_second = place >= sequence.query_length && config_.type_vocab_size > 1;
      add(weights_.types, is_second ? 1 : 0);
    }
  }

  // At most kBlockTokens tokens.
  void embed_and_project(std::size_t first, std::size_t last) {
    const Linear& projection = *weights_.embedding_projection;
    embed_tokens(first, last, own_.embedded.data(), embedding_width(config_));
    own_.encoded_embedded.encode(kernels_, projection, own_.embedded.data(), last - first, 0);
    projection.multiply(kernels_, own_.encoded_embedded, 0, last - first, 0,
                        projection.num_panels(), {hidden_row(first), hidden_size_});
  }

  // A norm, whose output stays in the residual stream or is only what the next product reads.
  struct Norm {
    const LayerNormWeights* weights;
    bool in_place;
  };

  Norm before_attention(std::size_t layer) const {
    const auto& norm = weights_.layers[layer].attention_norm;
    return {config_.norm_first && norm ? &*norm : nullptr, false};
  }

  Norm before_mlp(const LayerWeights& layer) const {
    return config_.norm_first ? Norm{&layer.mlp_norm, false} : Norm{&*layer.attention_norm, true};
  }

  // Normalises rows of the residual stream, if at all, and encodes them for what reads them next.
  void encode(const Linear& consumer, Norm norm, std::size_t first, std::size_t last) {
    for (std::size_t row = first; row < last; row += kNormRows) {
      const std::size_t num_rows = std::min(kNormRows, last - row);
      const float* input = hidden_row(row);
      if (norm.weights != nullptr) {
        float* output = norm.in_place ? hidden_row(row) : own_.normalized.data();
        normalize(*norm.weights, input, num_rows, output);
        input = output;
      }
      group_.encoded_hidden.encode(kernels_, consumer, input, num_rows, row);
    }
  }

  void normalize(const LayerNormWeights& norm, const float* input, std::size_t num_rows,
                 float* output) const {
    kernels_.layer_norm(input, num_rows, hidden_size_, norm.scale.data(), norm.shift.data(),
                        config_.norm_epsilon, output);
  }

  void attend(std::size_t layer, bool first_tokens_only) {
    if (team_.shares_evenly(size_of(config_.num_heads))) {
      attend_by_heads(layer, first_tokens_only);
    } else {
      attend_by_queries(layer, first_tokens_only);
    }
    team_.barrier.wait();
  }

  // Each member projects all tokens for a head, then attends, and goes on with its next head.
  void attend_by_heads(std::size_t layer, bool first_tokens_only) {
    const LayerWeights& weights = weights_.layers[layer];
    const std::size_t panels = 3 * head_dim_ / kPanelWidth;
    const Share mine = team_.share(size_of(config_.num_heads));
    for (std::size_t head = mine.first; head < mine.last; ++head) {
      weights.heads.multiply(kernels_, group_.encoded_hidden, 0, num_tokens_, head * panels,
                             (head + 1) * panels, {own_.projected.data(), 3 * head_dim_});
      for (std::size_t i = 0; i < sequences_.size(); ++i) {
        const std::size_t seq_len = sequences_[i].token_ids.size();
        const std::size_t num_queries = first_tokens_only ? 1 : seq_len;
        float* queries = own_.projected.data() + starts_[i] * 3 * head_dim_;
        rotate(weights, queries, 3 * head_dim_, {0, num_queries});
        rotate(weights, queries + head_dim_, 3 * head_dim_, {0, seq_len});
        attend_sequence(layer, head, i, queries, 3 * head_dim_, {0, num_queries});
      }
    }
  }

  // A team whose members would not have the same number of heads projects all of them first, and
  // then shares heads, sequences and, of long ones, queries.
  void attend_by_queries(std::size_t layer, bool first_tokens_only) {
    const LayerWeights& weights = weights_.layers[layer];
    const std::size_t num_heads = size_of(config_.num_heads), stride = 3 * hidden_size_;
    multiply(weights.heads, group_.encoded_hidden, 0, num_tokens_, group_.projected.data(),
             Epilogue::kStore);
    team_.barrier.wait();
    const Share rows = team_.share(num_tokens_);
    for (std::size_t i = 0; weights.turns != nullptr && i < sequences_.size(); ++i) {
      const std::size_t end = starts_[i] + sequences_[i].token_ids.size();
      const std::size_t first = std::max(rows.first, starts_[i]);
      const std::size_t last = std::max(first, std::min(rows.last, end));
      for (std::size_t part = 0; part < 3 * num_heads; ++part) {
        if (part % 3 != 2) {  // queries and keys; values stay as they are
          rotate(weights, group_.projected.data() + starts_[i] * stride + part * head_dim_, stride,
                 {first - starts_[i], last - starts_[i]});
        }
      }
    }
    team_.barrier.wait();
    const Share mine = team_.share(count_parts(first_tokens_only) * num_heads);
    std::size_t item = 0;
    for (std::size_t i = 0; i < sequences_.size(); ++i) {
      const std::size_t num_queries = first_tokens_only ? 1 : sequences_[i].token_ids.size();
      for (std::size_t head = 0; head < num_heads; ++head) {
        for (std::size_t first = 0; first < num_queries; first += kQueriesAtATime, ++item) {
          if (item >= mine.first && item < mine.last) {
            attend_sequence(layer, head, i,
                            group_.projected.data() + starts_[i] * stride + 3 * head * head_dim_,
                            stride, {first, std::min(first + kQueriesAtATime, num_queries)});
          }
        }
      }
    }
  }

  // Pieces of kQueriesAtATime that all sequences have.
  std::size_t count_parts(bool first_tokens_only) const {
    std::size_t count = 0;
    for (const Sequence& sequence : sequences_) {
      const std::size_t num_queries = first_tokens_only ? 1 : sequence.token_ids.size();
      count += (num_queries + kQueriesAtATime - 1) / kQueriesAtATime;
    }
    return count;
  }

  // Turns tokens [places.first, places.last) of a sequence by their positions; rows is its first.
  void rotate(const LayerWeights& weights, float* rows, std::size_t stride, Share places) const {
    if (weights.turns != nullptr) {
      kernels_.rotate_rows(rows + places.first * stride, stride, places.size(), head_dim_ / 2,
                           weights.turns->data() + places.first * head_dim_);
    }
  }

  // A sequence's queries [places.first, places.last) in one head. Its keys and values stand beside
  // its queries.
  void attend_sequence(std::size_t layer, std::size_t head, std::size_t i, const float* queries,
                       std::size_t stride, Share places) {
    HeadInput input{.queries = queries,
                    .keys = queries + head_dim_,
                    .values = queries + 2 * head_dim_,
                    .query_stride = stride,
                    .stride = stride,
                    .num_queries = places.last,
                    .seq_len = sequences_[i].token_ids.size(),
                    .first_query = places.first};
    if (const auto window = config_.layers[layer].window) {
      input.window = size_of(*window);
    }
    if (!weights_.relative_biases.empty()) {
      input.bias = weights_.relative_biases.data() + head * weights_.relative_stride +
                   size_of(config_.max_seq_len) - 1;
    }
    own_.attention.attend(input, context_row(starts_[i]) + head * head_dim_, hidden_size_);
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
  void feed_forward(std::size_t layer, std::size_t first, std::size_t last) {
    const LayerWeights& weights = weights_.layers[layer];
    const std::size_t num_rows = last - first;
    const Share rows = team_.share(num_rows);
    const std::size_t my_first = first + rows.first, my_last = first + rows.last;

    group_.encoded_context.encode(kernels_, weights.attention_output, context_row(my_first),
                                  rows.size(), my_first);
    team_.barrier.wait();
    multiply(weights.attention_output, group_.encoded_context, first, num_rows, hidden_row(first),
             Epilogue::kAdd);
    team_.barrier.wait();
    encode(weights.up, before_mlp(weights), my_first, my_last);
    team_.barrier.wait();
    multiply(weights.up, group_.encoded_hidden, first, num_rows, group_.intermediate.data(),
             epilogue_of(config_.activation, config_.gated));
    team_.barrier.wait();
    group_.encoded_intermediate.encode(
        kernels_, weights.down,
        group_.intermediate.data() + rows.first * intermediate_width(config_), rows.size(),
        rows.first);
    team_.barrier.wait();
    multiply(weights.down, group_.encoded_intermediate, 0, num_rows, hidden_row(first),
             Epilogue::kAdd);
    team_.barrier.wait();
    finish_layer(layer, my_first, my_last);
    team_.barrier.wait();
  }

  // The norm that ends the layer or begins the next, and what the next one reads.
  void finish_layer(std::size_t layer, std::size_t first, std::size_t last) {
    const bool is_last = layer + 1 == weights_.layers.size();
    const LayerNormWeights& own_norm = weights_.layers[layer].mlp_norm;
    if (is_last) {
      normalize(config_.norm_first ? *weights_.final_norm : own_norm, hidden_row(first),
                last - first, hidden_row(first));
    } else {
      encode(weights_.layers[layer + 1].heads,
             config_.norm_first ? before_attention(layer + 1) : Norm{&own_norm, true}, first, last);
    }
  }

  // This member's share of a product: of its panels, for one block of rows after the other, so that
  // a product of few panels has enough for all members.
  void multiply(const Linear& linear, const EncodedRows& rows, std::size_t first_row,
                std::size_t num_rows, float* output, Epilogue epilogue) const {
    const std::size_t panel_width = is_gated(epilogue) ? kPanelWidth / 2 : kPanelWidth;
    const std::size_t num_panels = linear.num_panels(), stride = num_panels * panel_width;
    const std::size_t block =
        team_.shares_evenly(num_panels) ? std::max<std::size_t>(num_rows, 1) : kBlockTokens;
    const std::size_t num_blocks = (num_rows + block - 1) / block;
    const Share mine = team_.share(num_blocks * num_panels);
    for (std::size_t item = mine.first; item < mine.last;) {
      const std::size_t row = item / num_panels * block, panel = item % num_panels;
      const std::size_t last_panel = std::min(num_panels, panel + (mine.last - item));
      linear.multiply(kernels_, rows, first_row + row, std::min(block, num_rows - row), panel,
                      last_panel,
                      {output + row * stride + panel * panel_width, stride, epilogue,
                       &gelu_coefficients(config_.activation)});
      item += last_panel - panel;
    }
  }

  void write_output() const {
    const Share mine = team_.share(sequences_.size());
    for (std::size_t i = mine.first; i < mine.last; ++i) {
      const float* tokens = hidden_row(reads_first_tokens_only_ ? i : starts_[i]);
      const std::size_t num_tokens = sequences_[i].token_ids.size();
      if (output_ == Output::kOfHead) {
        write_result(weights_.head, tokens, num_tokens, hidden_size_, sequences_[i].output);
      } else {
        std::copy_n(tokens, num_tokens * hidden_size_, sequences_[i].output);
      }
    }
    team_.barrier.wait();
  }

  const KernelTable& kernels_;
  const EncoderConfig& config_;
  const EncoderWeights& weights_;
  const std::span<const Sequence> sequences_;
  const Output output_;
  const bool reads_first_tokens_only_;
  const Team& team_;
  GroupScratch& group_;
  OwnScratch& own_;
  const std::size_t hidden_size_;
  const std::size_t head_dim_;
  const std::size_t block_tokens_;
  std::vector<std::size_t> starts_;  // [num_sequences] the row of each one's first token
  std::size_t num_tokens_ = 0;
};

void Forward::run(std::span<const Sequence> sequences, Output output, const Team& team,
                  GroupScratch& group, OwnScratch& own) const {
  kernels_.begin();
  Pass(*this, sequences, output, team, group, own).run();
  kernels_.end();
}

}  // namespace twopass
