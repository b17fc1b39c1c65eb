#include "twopass/assembly.h"

#include <nanobind/stl/tuple.h>

#include <tuple>
#include <utility>

#include "arrays.h"
#include "bindings.h"

namespace twopass {
namespace {

auto to_tuple(Assembly assembly) {
  auto& [token_ids, offsets, query_lengths] = assembly.batch;
  return std::make_tuple(to_numpy<std::int32_t>(std::move(token_ids)),
                         to_numpy<std::int32_t>(std::move(offsets)),
                         to_numpy<std::int32_t>(std::move(query_lengths)),
                         to_numpy<bool>(std::move(assembly.truncated)));
}

}  // namespace

void bind_assembly(nb::module_& m) {
  m.def(
      "assemble_pairs",
      [](const Int32s& query_ids, const Int32s& passage_ids, const Int32s& passage_offsets,
         const Int32s& prefix, const Int32s& separator, const Int32s& suffix,
         std::int32_t max_seq_len) {
        return to_tuple(without_gil_if(passage_ids.size() > kManyElements, [&] {
          const PairTemplate pair_template{as_span(prefix), as_span(separator), as_span(suffix)};
          return assemble_pairs(as_span(query_ids),
                                RaggedView(as_span(passage_ids), as_span(passage_offsets)),
                                pair_template, max_seq_len);
        }));
      },
      nb::arg("query_ids").noconvert(), nb::arg("passage_ids").noconvert(),
      nb::arg("passage_offsets").noconvert(), nb::arg("prefix").noconvert(),
      nb::arg("separator").noconvert(), nb::arg("suffix").noconvert(), nb::arg("max_seq_len"),
      R"(Puts one query before each passage: `prefix query separator passage suffix`.

Args:
    query_ids: int32 `[num_query_tokens]`. Never cut.
    passage_ids: int32 `[num_passage_tokens]`.
    passage_offsets: int32 `[num_passages + 1]`, into `passage_ids`.
    prefix: Special tokens, int32, of any number, as are the next two.
    separator: Special tokens between query and passage.
    suffix: Special tokens at the end.
    max_seq_len: Most tokens in a sequence; a passage that exceeds it is cut at its end.

Returns:
    `token_ids` int32 `[num_tokens]`; `offsets` int32 `[num_passages + 1]`; `query_lengths` int32
    `[num_passages]`, the prefix, the query and the first separator token; `truncated` bool
    `[num_passages]`, where a passage was cut.

Raises:
    ValueError: `max_seq_len` leaves no token of some passage; the sequences together have more
        tokens than int32 counts; or `passage_offsets` are unsound.)");

  m.def(
      "assemble_singles",
      [](const Int32s& token_ids, const Int32s& offsets, const Int32s& prefix, const Int32s& suffix,
         std::int32_t max_seq_len) {
        return to_tuple(without_gil_if(token_ids.size() > kManyElements, [&] {
          return assemble_singles(RaggedView(as_span(token_ids), as_span(offsets)), as_span(prefix),
                                  as_span(suffix), max_seq_len);
        }));
      },
      nb::arg("token_ids").noconvert(), nb::arg("offsets").noconvert(),
      nb::arg("prefix").noconvert(), nb::arg("suffix").noconvert(), nb::arg("max_seq_len"),
      R"(Puts special tokens around each text: `prefix text suffix`.

Args:
    token_ids: int32 `[num_text_tokens]`.
    offsets: int32 `[num_texts + 1]`, into `token_ids`.
    prefix: Special tokens, int32, of any number, as is the next.
    suffix: Special tokens at the end.
    max_seq_len: Most tokens in a sequence; a text that exceeds it is cut at its end.

Returns:
    As `assemble_pairs`, where `query_lengths` are the lengths of the whole sequences.

Raises:
    ValueError: As `assemble_pairs`.)");
}

}  // namespace twopass
