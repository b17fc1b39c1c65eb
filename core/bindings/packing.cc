#include "twopass/packing.h"

#include <nanobind/stl/tuple.h>

#include <tuple>
#include <utility>

#include "arrays.h"
#include "bindings.h"

namespace twopass {

void bind_packing(nb::module_& m) {
  m.def(
      "gather_packed",
      [](const Int32s& token_ids, const Int32s& offsets, const Int32s& query_lengths,
         const Int32s& rows) {
        TokenBatch batch = without_gil_if(token_ids.size() > kManyElements, [&] {
          return gather_packed(RaggedView(as_span(token_ids), as_span(offsets)),
                               as_span(query_lengths), as_span(rows));
        });
        return std::make_tuple(to_numpy<std::int32_t>(std::move(batch.token_ids)),
                               to_numpy<std::int32_t>(std::move(batch.offsets)),
                               to_numpy<std::int32_t>(std::move(batch.query_lengths)));
      },
      nb::arg("token_ids").noconvert(), nb::arg("offsets").noconvert(),
      nb::arg("query_lengths").noconvert(), nb::arg("rows").noconvert(),
      R"(Collects the sequences of one batch for a packed engine.

Args:
    token_ids: int32 `[num_tokens]`.
    offsets: int32 `[num_sequences + 1]`, into `token_ids`.
    query_lengths: int32 `[num_sequences]`.
    rows: Which sequences, in the batch's order, int32 `[num_rows]`; repeats are allowed.

Returns:
    `token_ids`, `offsets` `[num_rows + 1]` and `query_lengths` `[num_rows]` of the batch, int32.

Raises:
    ValueError: A row is not among the sequences; the batch has more tokens than int32 counts; or
        `offsets` or `query_lengths` don't fit their neighbours.)");

  m.def(
      "pack_padded",
      [](const Int32s& token_ids, const Int32s& offsets, const Int32s& rows, std::int32_t seq_len,
         std::int32_t pad_id, const InOutArray<std::int32_t>& out_token_ids,
         const InOutArray<std::int32_t>& out_lengths) {
        without_gil([&] {
          pack_padded(RaggedView(as_span(token_ids), as_span(offsets)), as_span(rows), seq_len,
                      pad_id, as_span(out_token_ids), as_span(out_lengths));
        });
      },
      nb::arg("token_ids").noconvert(), nb::arg("offsets").noconvert(), nb::arg("rows").noconvert(),
      nb::arg("seq_len"), nb::arg("pad_id"), nb::arg("out_token_ids").noconvert(),
      nb::arg("out_lengths").noconvert(),
      R"(Writes the sequences of one batch, padded, into buffers that a device reads from.

Args:
    token_ids: int32 `[num_tokens]`.
    offsets: int32 `[num_sequences + 1]`, into `token_ids`.
    rows: Which sequences, in the batch's order, int32 `[num_rows]`; repeats are allowed.
    seq_len: Tokens that every row is padded to.
    pad_id: The token id to pad with.
    out_token_ids: Receives `[num_rows, seq_len]`, row-major; int32, one-dimensional, at least as
        large, apart from all inputs. What lies beyond stays as it is.
    out_lengths: Receives the tokens before the padding, int32, at least `[num_rows]`.

Raises:
    ValueError: A sequence is longer than `seq_len`, a buffer too small, a row not among the
        sequences, or `offsets` are unsound. Then nothing was written.)");
}

}  // namespace twopass
