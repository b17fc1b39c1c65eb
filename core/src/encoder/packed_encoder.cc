#include <limits>
#include <memory>

#include "cpu/kernels.h"
#include "cpu/thread_pool.h"
#include "encoder/forward.h"
#include "encoder/grouping.h"
#include "encoder/weights.h"
#include "require.h"
#include "twopass/cpus.h"
#include "twopass/encoder.h"
#include "twopass/errors.h"

namespace twopass {
namespace {

// What a group holds at most; a longer sequence than that is a group of its own.
constexpr std::size_t kMaxGroupTokens = 512;

}  // namespace

class PackedEncoder::Implementation {
 public:
  Implementation(const StoredTensors& tensors, const EncoderConfig& config, const Head& head,
                 Precision precision, std::size_t num_threads)
      : config_(config),
        kernels_(kernels()),
        weights_(load_weights(kernels_, tensors, config, head, precision)),
        forward_(kernels_, config_, weights_),
        pool_(shared_thread_pool(num_threads != 0 ? num_threads : available_cpus())) {
    max_group_tokens_ = std::max(kMaxGroupTokens, max_seq_len());
    for (std::size_t i = 0; i < pool_->num_threads(); ++i) {
      groups_.emplace_back(config_, precision, max_group_tokens_);
      own_.push_back(std::make_unique<OwnScratch>(kernels_, config_, precision, max_group_tokens_));
    }
  }

  std::vector<float> forward(const RaggedView& rows, std::span<const std::int32_t> query_lengths,
                             Output output) {
    check(rows, query_lengths);
    std::vector<std::size_t> lengths(rows.num_rows());
    std::vector<std::size_t> starts(rows.num_rows() + 1);  // of each one's numbers in the output
    for (std::size_t i = 0; i < rows.num_rows(); ++i) {
      lengths[i] = rows[i].size();
      starts[i + 1] =
          starts[i] + (output == Output::kOfHead ? output_width() : lengths[i] * token_width());
    }
    std::vector<float> numbers(starts.back());
    // Where other batches keep the threads busy, nothing is gained by spreading this one evenly
    // over them, and much is lost by letting them wait for each other.
    const std::size_t num_idle_threads = pool_->is_busy() ? 1 : pool_->num_threads();
    const GroupPlan plan = plan_groups(lengths, num_idle_threads, max_group_tokens_);
    std::vector<std::vector<Sequence>> groups;
    for (const std::vector<std::uint32_t>& members : plan.groups) {
      std::vector<Sequence>& group = groups.emplace_back();
      for (const std::uint32_t i : members) {
        group.push_back(
            {rows[i], static_cast<std::size_t>(query_lengths[i]), numbers.data() + starts[i]});
      }
    }
    plan.is_shared ? run_together(groups, output) : run_apart(groups, output);
    return numbers;
  }

  std::size_t output_width() const {
    return weights_.head.layers.empty()
               ? weights_.head.poolings.size() * static_cast<std::size_t>(config_.hidden_size)
               : weights_.head.layers.back().bias.size();
  }

  std::size_t token_width() const { return static_cast<std::size_t>(config_.hidden_size); }

  std::size_t max_seq_len() const { return static_cast<std::size_t>(config_.max_seq_len); }

  std::size_t num_threads() const { return pool_->num_threads(); }

  std::size_t scratch_bytes() const {
    std::size_t total = 0;
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      total += groups_[i].num_bytes() + own_[i]->num_bytes();
    }
    return total;
  }

  std::string_view isa() const { return name_of(kernels_.isa); }

 private:
  // Everything that could go wrong goes wrong here, before any thread works.
  void check(const RaggedView& rows, std::span<const std::int32_t> query_lengths) const {
    require(query_lengths.size() == rows.num_rows(), "query_lengths: ", query_lengths.size(),
            " given, one for each of ", rows.num_rows(), " sequences");
    for (std::size_t i = 0; i < rows.num_rows(); ++i) {
      const std::size_t length = rows[i].size();
      require(length > 0, "sequence ", i, ": 0 tokens given, at least 1");
      if (length > max_seq_len()) {
        throw InputTooLongError("sequence " + std::to_string(i) + ": " + std::to_string(length) +
                                " tokens given, at most " + std::to_string(max_seq_len()));
      }
      require(query_lengths[i] >= 0, "query_lengths[", i, "]: ", query_lengths[i],
              " given, at least 0");
      for (const std::int32_t id : rows[i]) {
        require(id >= 0 && id < config_.vocab_size, "sequence ", i, ": token id ", id,
                " given, at least 0 and below ", config_.vocab_size);
      }
    }
  }

  // Each thread takes whole groups, the largest first.
  void run_apart(const std::vector<std::vector<Sequence>>& groups, Output output) {
    Barrier alone(1);
    pool_->run(groups.size(), [&](std::size_t group, std::size_t thread) {
      forward_.run(groups[group], output, {0, 1, alone}, groups_[thread], *own_[thread]);
    });
  }

  // All threads go through each group side by side.
  void run_together(const std::vector<std::vector<Sequence>>& groups, Output output) {
    Barrier barrier(pool_->num_threads());
    pool_->run_together([&](std::size_t thread) {
      for (const std::vector<Sequence>& group : groups) {
        forward_.run(group, output, {thread, pool_->num_threads(), barrier}, groups_[0],
                     *own_[thread]);
      }
    });
  }

  const EncoderConfig config_;
  const KernelTable& kernels_;
  const EncoderWeights weights_;
  const Forward forward_;
  const std::shared_ptr<ThreadPool> pool_;
  std::size_t max_group_tokens_ = 0;
  std::vector<GroupScratch> groups_;              // [num_threads]
  std::vector<std::unique_ptr<OwnScratch>> own_;  // [num_threads]
};

PackedEncoder::PackedEncoder(const StoredTensors& weights, const EncoderConfig& config,
                             const Head& head, Precision precision, std::size_t num_threads)
    : implementation_(
          std::make_unique<Implementation>(weights, config, head, precision, num_threads)) {}

PackedEncoder::~PackedEncoder() = default;

std::vector<float> PackedEncoder::forward(const RaggedView& sequences,
                                          std::span<const std::int32_t> query_lengths) {
  return implementation_->forward(sequences, query_lengths, Output::kOfHead);
}

std::vector<float> PackedEncoder::forward_tokens(const RaggedView& sequences,
                                                 std::span<const std::int32_t> query_lengths) {
  return implementation_->forward(sequences, query_lengths, Output::kOfTokens);
}

std::size_t PackedEncoder::output_width() const { return implementation_->output_width(); }
std::size_t PackedEncoder::token_width() const { return implementation_->token_width(); }
std::size_t PackedEncoder::max_seq_len() const { return implementation_->max_seq_len(); }
std::size_t PackedEncoder::num_threads() const { return implementation_->num_threads(); }
std::size_t PackedEncoder::scratch_bytes() const { return implementation_->scratch_bytes(); }
std::string_view PackedEncoder::isa() const { return implementation_->isa(); }

}  // namespace twopass
