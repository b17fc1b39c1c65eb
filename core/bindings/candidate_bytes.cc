#include "twopass/candidate_bytes.h"

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "arrays.h"
#include "bindings.h"
#include "texts.h"

namespace twopass {
namespace {

nb::str text_of(std::string_view utf8) { return nb::str(utf8.data(), utf8.size()); }

nb::object read(const nb::bytes& message, const CandidateLimits& limits) {
  // Holds the GIL: reading takes less time than giving it up and getting it back.
  auto found = read_candidates({message.c_str(), message.size()}, limits);
  if (!found) return nb::none();
  const auto kept = std::make_shared<ReadCandidates>(std::move(*found));
  const auto texts = [&](std::vector<std::string_view>& views) {
    return Texts{std::move(views), message, kept};
  };
  return nb::make_tuple(
      texts(kept->passages), texts(kept->ids), to_numpy<float>(std::move(kept->scores)),
      to_numpy<bool>(std::move(kept->has_score)), nb::bytes(kept->rest.data(), kept->rest.size()));
}

}  // namespace

void bind_candidate_bytes(nb::module_& m) {
  nb::class_<Texts> texts(m, "Texts", nb::sig("class Texts(Sequence[str])"),
                          "Texts of a message; each becomes a string when it is asked for.");
  nb::module_::import_("collections.abc").attr("Sequence").attr("register")(texts);
  texts.def("__len__", [](const Texts& self) { return self.views.size(); })
      .def(
          "__getitem__",
          [](const Texts& self, std::int64_t index) {
            const auto count = static_cast<std::int64_t>(self.views.size());
            if (index < -count || index >= count) throw nb::index_error();
            return text_of(self.views[static_cast<std::size_t>(index < 0 ? index + count : index)]);
          },
          nb::arg("index"))
      .def(
          "__getitem__",
          [](const Texts& self, const nb::slice& places) {
            const auto [start, stop, step, length] = places.compute(self.views.size());
            Texts part{{}, self.message, self.kept};
            part.views.reserve(length);
            for (Py_ssize_t i = 0, at = start; i < static_cast<Py_ssize_t>(length);
                 ++i, at += step) {
              part.views.push_back(self.views[static_cast<std::size_t>(at)]);
            }
            return part;
          },
          nb::arg("index"))
      .def_prop_ro(
          "num_chars",
          [](const Texts& self) {
            std::vector<std::int32_t> counts;
            counts.reserve(self.views.size());
            for (const std::string_view text : self.views) {
              counts.push_back(static_cast<std::int32_t>(num_code_points(text)));
            }
            return to_numpy<std::int32_t>(std::move(counts));
          },
          nb::rv_policy::move, "Code points of each, int32 `[num_texts]`.");
  m.def(
      "read_candidates",
      [](const nb::bytes& message, std::size_t max_candidates, std::size_t max_passage_bytes,
         std::size_t max_id_bytes, std::size_t max_rest_bytes) {
        return read(message, {max_candidates, max_passage_bytes, max_id_bytes, max_rest_bytes});
      },
      nb::arg("message"), nb::kw_only(), nb::arg("max_candidates"), nb::arg("max_passage_bytes"),
      nb::arg("max_id_bytes"), nb::arg("max_rest_bytes"),
      nb::sig("def read_candidates(message: bytes, *, max_candidates: int, max_passage_bytes: int, "
              "max_id_bytes: int, max_rest_bytes: int) -> tuple[Texts, Texts, "
              "NDArray[numpy.float32], NDArray[numpy.bool_], bytes] | None"),
      R"(Reads the candidates of a `RerankRequest` from its bytes.

Args:
    message: The request as protobuf encodes it.
    max_candidates: Most candidates.
    max_passage_bytes: Longest title and text together, in bytes of UTF-8.
    max_id_bytes: Longest id, in bytes of UTF-8.
    max_rest_bytes: Most bytes of all other fields.

Returns:
    Passages, which are title and text as the models read them; ids; first-pass scores float32
    `[num_candidates]`, 0 where there is none; which candidates have one, bool `[num_candidates]`;
    and the encoding of the other fields. None for a message that protobuf
    should read: its candidates are malformed, break a limit, are empty, hold a NUL or a score that
    is not finite, or have a field that is unknown here; or there are none.)");
}

}  // namespace twopass
