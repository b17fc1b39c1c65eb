#include "twopass/score_table.h"

#include <nanobind/stl/tuple.h>

#include <cstring>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

#include "arrays.h"
#include "bindings.h"
#include "twopass/ragged.h"
#include "twopass/siphash.h"

namespace twopass {
namespace {

using Digests = nb::ndarray<const std::uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

constexpr std::size_t kKeyBytes = 16;

void check(bool holds, const char* message) {
  if (!holds) {
    throw std::invalid_argument(message);
  }
}

Digest128 key_of(const nb::bytes& key) {
  check(key.size() == kKeyBytes, "key: 16 bytes are needed");
  Digest128 words;
  std::memcpy(&words, key.c_str(), kKeyBytes);
  return words;
}

}  // namespace

void bind_score_table(nb::module_& m) {
  m.def(
      "siphash128",
      [](const nb::bytes& key, const nb::bytes& message) {
        const auto* begin = reinterpret_cast<const std::byte*>(message.c_str());
        const Digest128 digest = siphash128(key_of(key), {begin, message.size()});
        return nb::bytes(reinterpret_cast<const char*>(&digest), kKeyBytes);
      },
      nb::arg("key"), nb::arg("message"),
      R"(The SipHash-2-4 of a message, 16 bytes.

Args:
    key: 16 bytes. Who does not know it can't find two messages with one digest.
    message: Any bytes.

Raises:
    ValueError: The key has another length.)");

  m.def(
      "sequence_digests",
      [](const nb::bytes& key, const Int32s& token_ids, const Int32s& offsets,
         const Int32s& query_lengths) {
        const Digest128 words = key_of(key);
        return to_numpy<std::uint64_t>(without_gil_if(token_ids.size() > kManyElements, [&] {
          return sequence_digests(words, RaggedView(as_span(token_ids), as_span(offsets)),
                                  as_span(query_lengths));
        }));
      },
      nb::arg("key"), nb::arg("token_ids").noconvert(), nb::arg("offsets").noconvert(),
      nb::arg("query_lengths").noconvert(),
      R"(Digests of all that a model reads of each sequence: its tokens and their types.

Args:
    key: 16 bytes.
    token_ids: int32 `[num_tokens]`.
    offsets: int32 `[num_sequences + 1]`.
    query_lengths: int32 `[num_sequences]`.

Returns:
    uint64 `[2 * num_sequences]`, the two halves of each digest side by side.

Raises:
    ValueError: The key has another length, or `offsets` or `query_lengths` don't fit the rest.)");

  nb::class_<ScoreTable>(m, "ScoreTable",
                         R"(Logits by digest, in memory that never grows.

Not for several threads at once.)")
      .def(nb::init<std::size_t>(), nb::arg("max_bytes"),
           "Takes as many whole sets of places as `max_bytes` hold; perhaps none.")
      .def(
          "find",
          [](ScoreTable& table, const Digests& digests) {
            const std::size_t count = digests.size() / 2;
            std::vector<float> logits(count);
            std::vector<char> found(count);
            for (std::size_t i = 0; i < count; ++i) {
              const auto logit = table.find({digests.data()[2 * i], digests.data()[2 * i + 1]});
              logits[i] = logit.value_or(0.0F);
              found[i] = static_cast<char>(logit.has_value());
            }
            return std::make_tuple(to_numpy<float>(std::move(logits)),
                                   to_numpy<bool>(std::move(found)));
          },
          nb::arg("digests").noconvert(),
          R"(Looks digests up.

Args:
    digests: uint64 `[2 * n]`, from `sequence_digests`.

Returns:
    Logits, float32 `[n]`, 0 where there is none; and which were found, bool `[n]`.)")
      .def(
          "insert",
          [](ScoreTable& table, const Digests& digests, const InputArray<float>& logits) {
            check(digests.size() == 2 * logits.size(), "digests: two halves a logit are needed");
            std::size_t num_kept_before = 0;
            for (std::size_t i = 0; i < logits.size(); ++i) {
              const Digest128 digest{digests.data()[2 * i], digests.data()[2 * i + 1]};
              num_kept_before += table.insert(digest, logits.data()[i]) ? 0 : 1;
            }
            return num_kept_before;
          },
          nb::arg("digests").noconvert(), nb::arg("logits").noconvert(),
          R"(Keeps logits, in place of others where a set is full.

Args:
    digests: uint64 `[2 * n]`.
    logits: float32 `[n]`.

Returns:
    How many of the digests were kept already; their logits stay as they are.

Raises:
    ValueError: There is not one digest for each logit.)")
      .def_prop_ro("num_entries", &ScoreTable::num_entries, "How many logits are kept.")
      .def_prop_ro("capacity", &ScoreTable::capacity, "How many there is room for.")
      .def_prop_ro("num_bytes", &ScoreTable::num_bytes, "The bytes of all places, used or not.")
      .def_prop_ro("num_evictions", &ScoreTable::num_evictions,
                   "How many logits gave their place to another so far.");
}

}  // namespace twopass
