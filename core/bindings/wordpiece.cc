#include "twopass/wordpiece.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "arrays.h"
#include "bindings.h"
#include "texts.h"
#include "utf8.h"

namespace twopass {
namespace {

// Bytes of texts that are cut in some 30 us.
constexpr std::size_t kManyBytes = 1'024;

auto cut_views(const WordPiece& wordpiece, const std::vector<std::string_view>& views,
               std::int32_t max_tokens) {
  std::size_t num_bytes = 0;
  for (const std::string_view text : views) num_bytes += text.size();
  CutTexts cut =
      without_gil_if(num_bytes > kManyBytes, [&] { return wordpiece.cut(views, max_tokens); });
  std::vector<std::tuple<std::int32_t, std::int32_t, std::string>> foreign_words;
  foreign_words.reserve(cut.foreign_words.size());
  for (const auto& [row, position, begin, end] : cut.foreign_words) {
    foreign_words.emplace_back(row, position, views[row].substr(begin, end - begin));
  }
  return std::make_tuple(to_numpy<std::int32_t>(std::move(cut.token_ids)),
                         to_numpy<std::int32_t>(std::move(cut.offsets)), std::move(foreign_words),
                         std::move(cut.foreign_texts));
}

auto cut_texts(const WordPiece& wordpiece, const Texts& texts, std::int32_t max_tokens) {
  return cut_views(wordpiece, texts.views, max_tokens);
}

auto cut_strings(const WordPiece& wordpiece, const nb::list& texts, std::int32_t max_tokens) {
  return cut_views(wordpiece, utf8_of(texts), max_tokens);
}

}  // namespace

void bind_wordpiece(nb::module_& m) {
  nb::class_<WordPiece>(
      m, "WordPiece",
      "Cuts words of ASCII into the pieces of a vocabulary, as uncased BERT does. Safe for "
      "threads.")
      .def(
          "__init__",
          [](WordPiece* self, const std::vector<std::pair<std::string, std::int32_t>>& vocabulary,
             std::int32_t unknown_id) { new (self) WordPiece(vocabulary, unknown_id); },
          nb::arg("vocabulary"), nb::arg("unknown_id"),
          R"(Copies a vocabulary.

Args:
    vocabulary: Pieces and their ids; a piece that begins with "##" goes on within a word.
    unknown_id: Of a word that can't be cut, or has more than 100 characters.

Raises:
    ValueError: An id is negative.)")
      .def_ro_static("max_word_chars", &WordPiece::kMaxWordChars,
                     "Characters of the longest word that is cut; a longer one is unknown.")
      .def("cut", &cut_texts, nb::arg("texts"), nb::arg("max_tokens"))
      .def("cut", &cut_strings, nb::arg("texts"), nb::arg("max_tokens"),
           R"(Cuts texts, as far as they are ASCII.

Args:
    texts: A list of strings, or `Texts`.
    max_tokens: Most tokens of a row; a row with foreign words may be longer once it has theirs.

Returns:
    `token_ids` int32 `[num_tokens]`; `offsets` int32 `[num_texts + 1]`; words with characters
    beyond ASCII, each with its row, the number of the row's tokens before it, and itself; rows
    that hold little but such words, and are empty here.

Raises:
    UnicodeEncodeError: A text holds a lone surrogate.
    ValueError: `max_tokens` is negative.)");
}

}  // namespace twopass
