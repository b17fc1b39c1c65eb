#include "twopass/batch_plan.h"

#include <limits>
#include <stdexcept>

#include "check.h"

namespace twopass {
namespace {

using Ints = std::vector<std::int32_t>;

TEST(no_rows_make_no_batches) {
  const BatchPlan plan = plan_packed({}, 8);
  CHECK(plan.order.empty() && plan.seq_lens.empty());
  CHECK(plan.batch_offsets == Ints{0});
}

TEST(equal_lengths_keep_their_order) {
  CHECK(plan_packed(Ints{5, 7, 5, 7, 5}, 100).order == Ints{1, 3, 0, 2, 4});
}

TEST(a_packed_batch_is_filled_up_to_its_budget_and_not_beyond) {
  CHECK(plan_packed(Ints{3, 3, 2}, 8).batch_offsets == Ints{0, 3});
  CHECK(plan_packed(Ints{3, 3, 2}, 7).batch_offsets == Ints{0, 2, 3});
}

TEST(a_row_over_the_budget_travels_alone) {
  const BatchPlan packed = plan_packed(Ints{1, 9, 1}, 8);
  CHECK(packed.batch_offsets == Ints{0, 1, 3});
  CHECK(packed.seq_lens == Ints{9, 1});
  CHECK(plan_padded(Ints{9, 9}, Ints{16}, 8).batch_offsets == Ints{0, 1, 2});
}

TEST(rows_of_different_buckets_never_share_a_batch) {
  const BatchPlan plan = plan_padded(Ints{4, 5, 8, 1}, Ints{4, 8}, 100);
  CHECK(plan.order == Ints{2, 1, 0, 3});
  CHECK(plan.batch_offsets == Ints{0, 2, 4});
  CHECK(plan.seq_lens == Ints{8, 4});
}

TEST(a_padded_batch_costs_its_bucket_for_every_row) {
  CHECK(plan_padded(Ints{5, 5, 5}, Ints{8}, 24).batch_offsets == Ints{0, 3});
  CHECK(plan_padded(Ints{5, 5, 5}, Ints{8}, 23).batch_offsets == Ints{0, 2, 3});
}

TEST(batch_tokens_may_exceed_int32) {
  constexpr std::int32_t kLongest = std::numeric_limits<std::int32_t>::max();
  CHECK(plan_packed(Ints{kLongest, kLongest}, kLongest).seq_lens == Ints{kLongest, kLongest});
  CHECK(plan_packed(Ints{kLongest, kLongest}, 2LL * kLongest).seq_lens == Ints{kLongest});
}

TEST(lengths_out_of_range_are_refused) {
  CHECK_THROWS(std::invalid_argument, "lengths[1]: 0 given, at least 1",
               plan_packed(Ints{1, 0}, 8));
  CHECK_THROWS(std::invalid_argument, "lengths[0]: -1 given, at least 1",
               plan_padded(Ints{-1}, Ints{8}, 8));
  CHECK_THROWS(std::invalid_argument, "lengths[2]: 9 given, at most 8",
               plan_padded(Ints{8, 1, 9}, Ints{4, 8}, 8));
}

TEST(budgets_and_buckets_out_of_range_are_refused) {
  CHECK_THROWS(std::invalid_argument, "max_batch_tokens: 0 given", plan_packed(Ints{1}, 0));
  CHECK_THROWS(std::invalid_argument, "buckets: none given", plan_padded({}, {}, 8));
  CHECK_THROWS(std::invalid_argument, "buckets[0]: 0 given", plan_padded({}, Ints{0, 4}, 8));
  CHECK_THROWS(std::invalid_argument, "buckets[1]: 4 given, above 4",
               plan_padded({}, Ints{4, 4}, 8));
}

}  // namespace
}  // namespace twopass
