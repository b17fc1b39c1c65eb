#include "twopass/hit_bytes.h"

#include <span>
#include <string>
#include <string_view>

#include "arrays.h"
#include "bindings.h"
#include "texts.h"
#include "utf8.h"

namespace twopass {
namespace {

// Holds the GIL: it takes less time than giving it up and getting it back.
nb::bytes written(const Int32s& order, std::span<const std::string_view> ids,
                  const InputArray<float>& scores, const InputArray<float>& logits,
                  const InputArray<bool>& truncated) {
  const std::string bytes =
      hit_bytes(as_span(order), ids, as_span(scores), as_span(logits), as_span(truncated));
  return nb::bytes(bytes.data(), bytes.size());
}

}  // namespace

void bind_hit_bytes(nb::module_& m) {
  m.def(
      "hit_bytes",
      [](const Int32s& order, const Texts& ids, const InputArray<float>& scores,
         const InputArray<float>& logits, const InputArray<bool>& truncated) {
        return written(order, ids.views, scores, logits, truncated);
      },
      nb::arg("order").noconvert(), nb::arg("ids"), nb::arg("scores").noconvert(),
      nb::arg("logits").noconvert(), nb::arg("truncated").noconvert());
  m.def(
      "hit_bytes",
      [](const Int32s& order, const nb::list& ids, const InputArray<float>& scores,
         const InputArray<float>& logits, const InputArray<bool>& truncated) {
        return written(order, utf8_of(ids), scores, logits, truncated);
      },
      nb::arg("order").noconvert(), nb::arg("ids"), nb::arg("scores").noconvert(),
      nb::arg("logits").noconvert(), nb::arg("truncated").noconvert(),
      R"(Writes the hits of a `RerankResponse` as protobuf does, without texts and windows.

Args:
    order: Candidates, best first, int32 `[num_hits]`.
    ids: A list of strings, or `Texts`, `[num_candidates]`; empty where no candidate has an id.
    scores: float32 `[num_candidates]`.
    logits: float32 `[num_candidates]`.
    truncated: bool `[num_candidates]`.

Returns:
    Bytes that parse as a `RerankResponse` of these hits, and that may follow those of its other
    fields.

Raises:
    UnicodeEncodeError: An id holds a lone surrogate.
    ValueError: `order` names no candidate, or the sizes differ.)");
}

}  // namespace twopass
