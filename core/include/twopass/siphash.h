#ifndef TWOPASS_SIPHASH_H_
#define TWOPASS_SIPHASH_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "twopass/ragged.h"

namespace twopass {

// 128 bits, as the two little-endian halves of the 16 bytes that the reference code writes.
struct Digest128 {
  std::uint64_t low;
  std::uint64_t high;

  bool operator==(const Digest128&) const = default;
};

// SipHash-2-4 with 128 bits of output (Aumasson and Bernstein 2012, and their reference code). Who
// does not know the key can neither foresee a digest nor make two messages that share one.
Digest128 siphash128(const Digest128& key, std::span<const std::byte> message);

// The digest of a sequence as a model reads it: how many of its tokens have type 0, then all of its
// tokens; equal to siphash128 over the little-endian bytes of these int32 values.
Digest128 sequence_digest(const Digest128& key, std::int32_t query_length,
                          std::span<const std::int32_t> token_ids);

// The two halves of the digest of each sequence, [2 * num_sequences]. query_lengths has one entry
// for each of them, else std::invalid_argument is thrown.
std::vector<std::uint64_t> sequence_digests(const Digest128& key, const RaggedView& sequences,
                                            std::span<const std::int32_t> query_lengths);

}  // namespace twopass

#endif  // TWOPASS_SIPHASH_H_
