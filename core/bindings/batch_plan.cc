#include "twopass/batch_plan.h"

#include "arrays.h"
#include "bindings.h"

namespace twopass {
namespace {

using PlanArray = NumpyArray<const std::int32_t>;

// A read-only view of one array of a plan, which it keeps alive.
template <std::vector<std::int32_t> BatchPlan::* kMember>
PlanArray view(const BatchPlan& plan) {
  const std::vector<std::int32_t>& elements = plan.*kMember;
  return PlanArray(elements.data(), {elements.size()});
}

}  // namespace

void bind_batch_plan(nb::module_& m) {
  constexpr auto kKeepPlanAlive = nb::rv_policy::reference_internal;
  nb::class_<BatchPlan>(m, "BatchPlan",
                        "Which rows are computed together, longest rows first. Read-only.")
      .def_prop_ro("order", &view<&BatchPlan::order>, kKeepPlanAlive,
                   "Row numbers, batch after batch, int32 `[num_rows]`.")
      .def_prop_ro("batch_offsets", &view<&BatchPlan::batch_offsets>, kKeepPlanAlive,
                   "int32 `[num_batches + 1]`; batch `i` is "
                   "`order[batch_offsets[i]:batch_offsets[i + 1]]`.")
      .def_prop_ro("seq_lens", &view<&BatchPlan::seq_lens>, kKeepPlanAlive,
                   "Tokens that each row of a batch fits in, int32 `[num_batches]`.");

  m.def(
      "plan_packed",
      [](const Int32s& lengths, std::int64_t max_batch_tokens) {
        return without_gil([&] { return plan_packed(as_span(lengths), max_batch_tokens); });
      },
      nb::arg("lengths").noconvert(), nb::arg("max_batch_tokens"),
      R"(Plans batches for an engine that computes exactly the tokens it is given.

Rows are taken longest first, ties by row number. A row that exceeds the budget on its own gets a
batch of its own.

Args:
    lengths: Tokens in each row, int32 `[num_rows]`, at least 1.
    max_batch_tokens: Most tokens in a batch, the sum of its lengths.

Returns:
    A plan whose `seq_lens` are the longest row of each batch.

Raises:
    ValueError: A length or the budget is below 1.)");

  m.def(
      "plan_padded",
      [](const Int32s& lengths, const Int32s& buckets, std::int64_t max_batch_tokens) {
        return without_gil(
            [&] { return plan_padded(as_span(lengths), as_span(buckets), max_batch_tokens); });
      },
      nb::arg("lengths").noconvert(), nb::arg("buckets").noconvert(), nb::arg("max_batch_tokens"),
      R"(Plans batches for an engine that pads every row to one of a few lengths.

As `plan_packed`, and the rows of a batch share their bucket, the smallest they fit in.

Args:
    lengths: Tokens in each row, int32 `[num_rows]`, 1 to the largest bucket.
    buckets: Padded lengths in tokens, int32 `[num_buckets]`, ascending.
    max_batch_tokens: Most tokens in a batch, its rows times its bucket.

Returns:
    A plan whose `seq_lens` are the bucket of each batch.

Raises:
    ValueError: A length, a bucket or the budget is out of range.)");
}

}  // namespace twopass
