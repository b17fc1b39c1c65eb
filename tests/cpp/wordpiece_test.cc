#include "twopass/wordpiece.h"

#include <stdexcept>
#include <string>
#include <string_view>

#include "check.h"

namespace twopass {
namespace {

using Ints = std::vector<std::int32_t>;
using Views = std::vector<std::string_view>;

enum Id : std::int32_t { kUnknown = 7, kUn = 1, kAffable = 2, kAble = 3, kA = 4, kB = 5, kDot = 6 };

const WordPiece& wordpiece() {
  static const std::vector<std::pair<std::string, std::int32_t>> vocabulary{
      {"un", kUn}, {"##affable", kAffable}, {"##able", kAble}, {"a", kA}, {"##b", kB}, {".", kDot}};
  static const WordPiece wordpiece(vocabulary, kUnknown);
  return wordpiece;
}

Ints ids_of(std::string_view text, std::int32_t max_tokens = 100) {
  return wordpiece().cut(Views{text}, max_tokens).token_ids;
}

TEST(the_longest_piece_comes_first_and_a_later_one_has_its_own_ids) {
  CHECK(ids_of("unaffable") == Ints{kUn, kAffable});
  CHECK(ids_of("UnAble") == Ints{kUn, kAble});
  CHECK(ids_of("ab") == Ints{kA, kB});
}

TEST(a_word_with_an_unknown_part_is_unknown_as_a_whole) {
  CHECK(ids_of("unaffablex") == Ints{kUnknown});
  CHECK(ids_of("b") == Ints{kUnknown});  // only within a word
}

TEST(words_end_at_spaces_and_punctuation_which_is_a_word_of_its_own) {
  CHECK(ids_of(" a\ta\r\na  a ") == Ints{kA, kA, kA, kA});
  CHECK(ids_of("a.a..") == Ints{kA, kDot, kA, kDot, kDot});
  CHECK(ids_of("a-a") == Ints{kA, kUnknown, kA});
}

TEST(control_characters_are_as_if_not_there) {
  using namespace std::string_view_literals;
  CHECK(ids_of("u\0n\x7f\vable\x1f"sv) == Ints{kUn, kAble});
}

TEST(a_word_of_more_than_a_hundred_characters_is_unknown) {
  const std::string longest = "a" + std::string(99, 'b');
  CHECK(ids_of(longest).size() == 100);
  CHECK(ids_of(longest + "b") == Ints{kUnknown});
  CHECK(ids_of(longest + std::string(500, 'b') + " a") == Ints{kUnknown, kA});
}

TEST(rows_end_after_max_tokens) {
  const CutTexts cut = wordpiece().cut(Views{"a a a", "", "ab ab"}, 2);
  CHECK(cut.token_ids == Ints{kA, kA, kA, kB});
  CHECK(cut.offsets == Ints{0, 2, 2, 4});
  CHECK(ids_of("a a", 0).empty());
  CHECK_THROWS(std::invalid_argument, "max_tokens: -1 given", ids_of("a", -1));
}

TEST(foreign_words_are_told_with_their_places) {
  const std::string text = "ab un.caf\u00e9 aaa a aa a aa aa a aa";
  const CutTexts cut = wordpiece().cut(Views{"a", text}, 100);
  CHECK(cut.foreign_texts.empty());
  CHECK(cut.foreign_words.size() == 1);
  const ForeignWord& word = cut.foreign_words.front();
  CHECK(word.row == 1);
  CHECK(word.position == 2);
  CHECK(text.substr(word.begin, word.end - word.begin) == "un.caf\u00e9");
}

TEST(a_text_of_little_but_foreign_words_is_foreign) {
  const std::string unspaced = "a a a " + std::string(201, '\xc3') + " a a a";
  const CutTexts cut = wordpiece().cut(Views{"a", "\u00e9t\u00e9", unspaced, "a"}, 100);
  CHECK(cut.foreign_texts == Ints{1, 2});
  CHECK(cut.foreign_words.empty());
  CHECK(cut.offsets == Ints{0, 1, 1, 1, 2});
}

TEST(negative_ids_are_refused) {
  const std::vector<std::pair<std::string, std::int32_t>> vocabulary{{"a", -1}};
  CHECK_THROWS(std::invalid_argument, "vocabulary: id -1 given", WordPiece(vocabulary, 0));
}

}  // namespace
}  // namespace twopass
