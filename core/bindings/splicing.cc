#include "twopass/splicing.h"

#include <nanobind/stl/tuple.h>

#include <tuple>
#include <utility>

#include "arrays.h"
#include "bindings.h"

namespace twopass {

void bind_splicing(nb::module_& m) {
  m.def(
      "splice",
      [](const Int32s& token_ids, const Int32s& offsets, const Int32s& into,
         const Int32s& positions, const Int32s& part_ids, const Int32s& part_offsets,
         std::int32_t max_tokens) {
        OwnedRows spliced = without_gil_if(token_ids.size() > kManyElements, [&] {
          return splice(RaggedView(as_span(token_ids), as_span(offsets)), as_span(into),
                        as_span(positions), RaggedView(as_span(part_ids), as_span(part_offsets)),
                        max_tokens);
        });
        return std::make_tuple(to_numpy<std::int32_t>(std::move(spliced.token_ids)),
                               to_numpy<std::int32_t>(std::move(spliced.offsets)));
      },
      nb::arg("token_ids").noconvert(), nb::arg("offsets").noconvert(), nb::arg("into").noconvert(),
      nb::arg("positions").noconvert(), nb::arg("part_ids").noconvert(),
      nb::arg("part_offsets").noconvert(), nb::arg("max_tokens"),
      R"(Puts further tokens into rows of token ids.

Args:
    token_ids: int32 `[num_tokens]`.
    offsets: int32 `[num_rows + 1]`, into `token_ids`.
    into: The row that each part belongs to, int32 `[num_parts]`, ascending.
    positions: Before which of the row's own tokens it stands, int32 `[num_parts]`, ascending within
        a row; parts of one position stand in their order.
    part_ids: The tokens of all parts, int32 `[num_part_tokens]`.
    part_offsets: int32 `[num_parts + 1]`, into `part_ids`.
    max_tokens: Where each row is cut once its parts are in it.

Returns:
    `token_ids` int32 `[num_all_tokens]` and `offsets` int32 `[num_rows + 1]`.

Raises:
    ValueError: A part is out of order or in no row, offsets are unsound, or `max_tokens` is
        negative.)");
}

}  // namespace twopass
