#include "twopass/ranked_keys.h"

#include <limits>
#include <stdexcept>
#include <vector>

#include "check.h"

namespace twopass {
namespace {

using Keys = std::vector<std::int64_t>;

TEST(shares_of_a_key_are_added_up_and_the_greatest_sum_is_first) {
  const ScoredKeys summed =
      sum_by_key(Keys{7, 5, 9, 5}, std::vector<double>{0.5, 0.25, 0.125, 0.5});
  CHECK(summed.keys == Keys{5, 7, 9});
  CHECK(summed.scores == std::vector<float>{0.75F, 0.5F, 0.125F});
}

TEST(equal_sums_keep_the_order_in_which_their_keys_came) {
  const ScoredKeys summed = sum_by_key(Keys{9, 1, 5, 1}, std::vector<double>{1.0, 0.5, 1.0, 0.5});
  CHECK(summed.keys == Keys{9, 1, 5});
}

TEST(nothing_sums_up_to_nothing_and_sizes_agree) {
  CHECK(sum_by_key({}, {}).keys.empty());
  CHECK_THROWS(std::invalid_argument, "keys: 1 given, but 0 shares", sum_by_key(Keys{1}, {}));
}

TEST(ranks_count_from_one_and_what_is_missing_is_infinitely_far) {
  const double none = std::numeric_limits<double>::infinity();
  CHECK(ranks_in(Keys{30, 10, 20}, Keys{20, 30, 40, 10}) == std::vector<double>{3, 1, none, 2});
  CHECK(ranks_in({}, Keys{1}) == std::vector<double>{none});
}

}  // namespace
}  // namespace twopass
