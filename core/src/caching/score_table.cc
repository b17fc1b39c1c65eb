#include "twopass/score_table.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <new>

namespace twopass {
namespace {

// An empty place has age 0, which calloc writes.
constexpr std::uint8_t kEmpty = 0;
constexpr std::uint8_t kYoungest = 1;
constexpr std::uint8_t kOldest = 32;
constexpr std::uint8_t kNewcomer = kOldest - 1;

}  // namespace

// Digests first: a look-up reads a line or two of them, and the rest of the set only where one
// fits.
struct ScoreTable::Set {
  std::array<std::uint64_t, kWays> lows;
  std::array<std::uint64_t, kWays> highs;
  std::array<float, kWays> logits;
  std::array<std::uint8_t, kWays> ages;

  // The place of a digest; kWays where it has none.
  std::size_t place_of(const Digest128& digest) const {
    for (std::size_t way = 0; way < kWays; ++way) {
      if (lows[way] == digest.low && highs[way] == digest.high && ages[way] != kEmpty) {
        return way;
      }
    }
    return kWays;
  }
};

ScoreTable::ScoreTable(std::size_t max_bytes) : num_sets_(max_bytes / sizeof(Set)) {
  if (num_sets_ > 0) {
    sets_.reset(static_cast<Set*>(std::calloc(num_sets_, sizeof(Set))));
    if (sets_ == nullptr) {
      throw std::bad_alloc();
    }
  }
}

std::optional<float> ScoreTable::find(const Digest128& digest) {
  if (num_sets_ == 0) {
    return std::nullopt;
  }
  Set& set = set_of(digest);
  const std::size_t way = set.place_of(digest);
  if (way == kWays) {
    return std::nullopt;
  }
  set.ages[way] = std::max<std::uint8_t>(kYoungest, set.ages[way] / 2);
  return set.logits[way];
}

bool ScoreTable::insert(const Digest128& digest, float logit) {
  if (num_sets_ == 0) {
    return true;
  }
  Set& set = set_of(digest);
  if (set.place_of(digest) != kWays) {
    return false;
  }
  auto place = std::find(set.ages.begin(), set.ages.end(), kEmpty);
  if (place != set.ages.end()) {
    ++num_entries_;
  } else {
    place = std::max_element(set.ages.begin(), set.ages.end());
    const int years = kOldest - *place;
    for (std::uint8_t& age : set.ages) {
      age = static_cast<std::uint8_t>(age + years);
    }
    ++num_evictions_;
  }
  const auto way = static_cast<std::size_t>(std::distance(set.ages.begin(), place));
  set.lows[way] = digest.low;
  set.highs[way] = digest.high;
  set.logits[way] = logit;
  set.ages[way] = kNewcomer;
  return true;
}

std::size_t ScoreTable::num_bytes() const { return num_sets_ * sizeof(Set); }

ScoreTable::Set& ScoreTable::set_of(const Digest128& digest) const {
  // A multiple of the number of sets, shifted: even without a division (Lemire 2019).
  const auto wide = static_cast<unsigned __int128>(digest.high) * num_sets_;
  return sets_[static_cast<std::size_t>(wide >> 64U)];
}

}  // namespace twopass
