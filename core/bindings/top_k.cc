#include "twopass/top_k.h"

#include "arrays.h"
#include "bindings.h"

namespace twopass {

void bind_top_k(nb::module_& m) {
  m.def(
      "top_k",
      [](const InputArray<float>& scores, std::int64_t k) {
        return to_numpy<std::int32_t>(without_gil_if(scores.size() > kManyElements,
                                                     [&] { return top_k(as_span(scores), k); }));
      },
      nb::arg("scores").noconvert(), nb::arg("k"),
      R"(Finds the k highest scores.

Args:
    scores: float32 `[num_scores]`.
    k: At least 0; more than there are scores returns all.

Returns:
    Indices into `scores`, int32 `[min(k, num_scores)]`: best first, ties by lower index, NaN after
    every number.

Raises:
    ValueError: k is negative.)");
}

}  // namespace twopass
