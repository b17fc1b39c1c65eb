#ifndef TWOPASS_SCORE_TABLE_H_
#define TWOPASS_SCORE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>

#include "twopass/siphash.h"

namespace twopass {

// Logits by digest, in memory that is taken once and never grows. Not for several threads at once.
//
// The table is cut into sets of kWays places, and a digest has its place in one of them. A full set
// gives up the oldest: an entry begins nearly as old as one gets, is half as old each time it is
// asked for, and all of a set age together when a place is needed (RRIP, Jaleel et al. 2010, with
// halving). So what is asked for once, such as by a crawl, displaces nothing that is asked for
// again and again. Measured in docs/decisions.md against LRU, SIEVE, S3-FIFO and W-TinyLFU.
class ScoreTable {
 public:
  static constexpr std::size_t kWays = 16;

  // Takes as many whole sets as max_bytes hold; with fewer bytes than one has, nothing is kept.
  explicit ScoreTable(std::size_t max_bytes);

  std::optional<float> find(const Digest128& digest);

  // Keeps a logit; returns false for a digest that is kept already, whose logit stays as it is.
  bool insert(const Digest128& digest, float logit);

  std::size_t num_entries() const { return num_entries_; }
  std::size_t capacity() const { return num_sets_ * kWays; }
  std::size_t num_bytes() const;
  std::uint64_t num_evictions() const { return num_evictions_; }

 private:
  struct Set;

  struct Free {
    void operator()(void* memory) const noexcept { std::free(memory); }
  };

  Set& set_of(const Digest128& digest) const;

  std::size_t num_sets_;
  // From calloc, so that the system hands out pages only as they are written.
  std::unique_ptr<Set[], Free> sets_;
  std::size_t num_entries_ = 0;
  std::uint64_t num_evictions_ = 0;
};

}  // namespace twopass

#endif  // TWOPASS_SCORE_TABLE_H_
