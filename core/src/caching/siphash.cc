#include "twopass/siphash.h"

#include <bit>

#include "require.h"

namespace twopass {
namespace {

class State {
 public:
  explicit State(const Digest128& key)
      : v0_(key.low ^ 0x736f6d6570736575U),
        v1_(key.high ^ 0x646f72616e646f6dU ^ 0xeeU),
        v2_(key.low ^ 0x6c7967656e657261U),
        v3_(key.high ^ 0x7465646279746573U) {}

  void absorb(std::uint64_t word) {
    v3_ ^= word;
    round();
    round();
    v0_ ^= word;
  }

  // tail holds the last bytes, fewer than 8, lowest first.
  Digest128 finish(std::uint64_t tail, std::size_t num_bytes) {
    absorb(static_cast<std::uint64_t>(num_bytes) << 56U | tail);
    v2_ ^= 0xeeU;
    const std::uint64_t low = squeeze();
    v1_ ^= 0xddU;
    return {low, squeeze()};
  }

 private:
  void round() {
    v0_ += v1_;
    v1_ = std::rotl(v1_, 13) ^ v0_;
    v0_ = std::rotl(v0_, 32);
    v2_ += v3_;
    v3_ = std::rotl(v3_, 16) ^ v2_;
    v0_ += v3_;
    v3_ = std::rotl(v3_, 21) ^ v0_;
    v2_ += v1_;
    v1_ = std::rotl(v1_, 17) ^ v2_;
    v2_ = std::rotl(v2_, 32);
  }

  std::uint64_t squeeze() {
    for (int i = 0; i < 4; ++i) {
      round();
    }
    return v0_ ^ v1_ ^ v2_ ^ v3_;
  }

  std::uint64_t v0_, v1_, v2_, v3_;
};

std::uint64_t little_endian(std::span<const std::byte> bytes) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    word |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  }
  return word;
}

std::uint64_t unsigned_of(std::int32_t value) { return static_cast<std::uint32_t>(value); }

}  // namespace

Digest128 siphash128(const Digest128& key, std::span<const std::byte> message) {
  State state(key);
  const std::size_t num_bytes = message.size();
  while (message.size() >= 8) {
    state.absorb(little_endian(message.first(8)));
    message = message.subspan(8);
  }
  return state.finish(little_endian(message), num_bytes);
}

Digest128 sequence_digest(const Digest128& key, std::int32_t query_length,
                          std::span<const std::int32_t> token_ids) {
  State state(key);
  const std::size_t num_bytes = 4 * (1 + token_ids.size());
  std::uint64_t waiting = unsigned_of(query_length);
  std::size_t i = 0;
  // A value that has no partner is the tail.
  for (; i + 1 < token_ids.size(); i += 2) {
    state.absorb(waiting | unsigned_of(token_ids[i]) << 32U);
    waiting = unsigned_of(token_ids[i + 1]);
  }
  if (i < token_ids.size()) {
    state.absorb(waiting | unsigned_of(token_ids[i]) << 32U);
    return state.finish(0, num_bytes);
  }
  return state.finish(waiting, num_bytes);
}

std::vector<std::uint64_t> sequence_digests(const Digest128& key, const RaggedView& sequences,
                                            std::span<const std::int32_t> query_lengths) {
  require(query_lengths.size() == sequences.num_rows(), "query_lengths: ", query_lengths.size(),
          " given, there are ", sequences.num_rows(), " sequences");
  std::vector<std::uint64_t> digests;
  digests.reserve(2 * sequences.num_rows());
  for (std::size_t row = 0; row < sequences.num_rows(); ++row) {
    const Digest128 digest = sequence_digest(key, query_lengths[row], sequences[row]);
    digests.push_back(digest.low);
    digests.push_back(digest.high);
  }
  return digests;
}

}  // namespace twopass
