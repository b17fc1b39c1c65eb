#include "twopass/score_table.h"

#include <vector>

#include "check.h"

namespace twopass {
namespace {

constexpr std::size_t kSetBytes = 336;  // of 16 places of 21 bytes
constexpr Digest128 kKey{1, 2};

Digest128 digest_of(std::int32_t i) { return sequence_digest(kKey, i, {}); }

TEST(what_was_kept_is_found_and_nothing_else) {
  ScoreTable table(64 * kSetBytes);
  CHECK(!table.find(digest_of(0)));
  CHECK(table.insert(digest_of(0), 1.5F));
  CHECK(table.find(digest_of(0)) == 1.5F);
  const Digest128 kept = digest_of(0);
  CHECK(!table.find({kept.low ^ 1U, kept.high}));
  CHECK(!table.find({kept.low, kept.high ^ 1U}));
  CHECK(!table.find({0, 0}));
}

TEST(what_is_kept_stays_as_it_is) {
  ScoreTable table(kSetBytes);
  CHECK(table.insert(digest_of(0), 1));
  CHECK(!table.insert(digest_of(0), 2));
  CHECK(table.find(digest_of(0)) == 1.0F);
  CHECK(table.num_entries() == 1);
}

TEST(memory_is_taken_once_and_never_exceeded) {
  ScoreTable table(4 * kSetBytes + 5);
  CHECK(table.num_bytes() == 4 * kSetBytes && table.capacity() == 64);
  for (std::int32_t i = 0; i < 10'000; ++i) {
    table.insert(digest_of(i), static_cast<float>(i));
    CHECK(table.find(digest_of(i)) == static_cast<float>(i));
  }
  CHECK(table.num_entries() == 64);
  CHECK(table.num_evictions() == 10'000 - 64);
}

TEST(too_few_bytes_for_a_set_keep_nothing) {
  ScoreTable table(kSetBytes - 1);
  CHECK(table.insert(digest_of(0), 1));
  CHECK(!table.find(digest_of(0)));
  CHECK(table.capacity() == 0 && table.num_bytes() == 0);
}

TEST(what_is_asked_for_again_outlives_what_is_asked_for_once) {
  ScoreTable table(kSetBytes);
  for (std::int32_t i = 0; i < 4; ++i) {
    table.insert(digest_of(i), 1);
    CHECK(table.find(digest_of(i)).has_value());
  }
  for (std::int32_t i = 100; i < 112; ++i) {
    table.insert(digest_of(i), 1);
  }
  // As many as the places that the four leave, which were never asked for.
  for (std::int32_t i = 200; i < 212; ++i) {
    table.insert(digest_of(i), 1);
  }
  for (std::int32_t i = 0; i < 4; ++i) {
    CHECK(table.find(digest_of(i)).has_value());
  }
}

TEST(what_is_no_longer_asked_for_goes_in_the_end) {
  ScoreTable table(kSetBytes);
  table.insert(digest_of(0), 1);
  for (int times = 0; times < 10; ++times) {
    CHECK(table.find(digest_of(0)).has_value());
  }
  for (std::int32_t i = 1; i < 1'000; ++i) {
    table.insert(digest_of(i), 1);
  }
  CHECK(!table.find(digest_of(0)));
}

}  // namespace
}  // namespace twopass
