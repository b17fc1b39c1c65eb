#include "twopass/ranked_keys.h"

#include <nanobind/stl/pair.h>

#include <cstdint>
#include <utility>

#include "arrays.h"
#include "bindings.h"

namespace twopass {

// Both hold the GIL: for the hundreds of keys of a search it takes less time than giving it up.
void bind_ranked_keys(nb::module_& m) {
  m.def(
      "sum_by_key",
      [](const InputArray<std::int64_t>& keys, const InputArray<double>& shares) {
        ScoredKeys summed = sum_by_key(as_span(keys), as_span(shares));
        return std::make_pair(to_numpy<std::int64_t>(std::move(summed.keys)),
                              to_numpy<float>(std::move(summed.scores)));
      },
      nb::arg("keys").noconvert(), nb::arg("shares").noconvert(),
      R"(Adds up the shares of each key.

Args:
    keys: int64 `[n]`.
    shares: float64 `[n]`.

Returns:
    Each key once, int64 `[num_keys]`, and its sum, float32 `[num_keys]`, the greatest first; equal
    ones in the order in which their keys came.

Raises:
    ValueError: The sizes differ.)");
  m.def(
      "ranks_in",
      [](const InputArray<std::int64_t>& list, const InputArray<std::int64_t>& wanted) {
        return to_numpy<double>(ranks_in(as_span(list), as_span(wanted)));
      },
      nb::arg("list").noconvert(), nb::arg("wanted").noconvert(),
      R"(The rank of each wanted key in a list of distinct keys.

Args:
    list: int64 `[n]`.
    wanted: int64 `[num_wanted]`.

Returns:
    Ranks from 1, float64 `[num_wanted]`; infinity for a key that is not in the list.)");
}

}  // namespace twopass
