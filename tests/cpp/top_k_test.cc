#include "twopass/top_k.h"

#include <limits>
#include <stdexcept>

#include "check.h"

namespace twopass {
namespace {

using Ints = std::vector<std::int32_t>;
using Floats = std::vector<float>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(the_best_come_first_and_ties_by_lower_index) {
  CHECK(top_k(Floats{1, 3, 2, 3, 1}, 4) == Ints{1, 3, 2, 0});
}

TEST(zeros_of_either_sign_tie) { CHECK(top_k(Floats{-0.0F, 0.0F}, 2) == Ints{0, 1}); }

TEST(not_a_number_comes_after_every_number) {
  CHECK(top_k(Floats{kNan, -kInfinity, kNan, kInfinity}, 4) == Ints{3, 1, 0, 2});
}

TEST(k_is_any_number_from_none_to_more_than_there_are) {
  const Floats scores{1, 2};
  CHECK(top_k(scores, 0).empty());
  CHECK(top_k(scores, 1) == Ints{1});
  CHECK(top_k(scores, 2) == Ints{1, 0});
  CHECK(top_k(scores, std::numeric_limits<std::int64_t>::max()) == Ints{1, 0});
  CHECK(top_k({}, 3).empty());
  CHECK_THROWS(std::invalid_argument, "k: -1 given, at least 0", top_k(scores, -1));
}

}  // namespace
}  // namespace twopass
