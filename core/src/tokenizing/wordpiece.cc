#include "twopass/wordpiece.h"

#include <algorithm>
#include <array>
#include <limits>

#include "require.h"

namespace twopass {
namespace {

constexpr std::string_view kLater = "##";

// A longer foreign word is hardly one: a script without spaces, most likely.
constexpr std::size_t kMaxForeignBytes = 200;
// Of a text's bytes in foreign words, above which the text is foreign.
constexpr std::size_t kForeignShare = 4;

enum class Kind : std::uint8_t { kLetter, kSpace, kPunctuation, kDropped, kForeign };

constexpr Kind kind_of_ascii(int c) {
  if (c == ' ' || c == '\t' || c == '\n' || c == '\r') return Kind::kSpace;
  if (c < ' ' || c == 0x7f) return Kind::kDropped;
  const bool is_alphanumeric =
      (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  return is_alphanumeric ? Kind::kLetter : Kind::kPunctuation;
}

constexpr std::array<Kind, 256> kKinds = [] {
  std::array<Kind, 256> kinds{};
  for (int c = 0; c < 256; ++c) kinds[c] = c < 128 ? kind_of_ascii(c) : Kind::kForeign;
  return kinds;
}();

Kind kind_of(char c) { return kKinds[static_cast<unsigned char>(c)]; }

constexpr char lowered(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

WordPiece::WordPiece(std::span<const std::pair<std::string, std::int32_t>> vocabulary,
                     std::int32_t unknown_id)
    : unknown_id_(unknown_id) {
  for (const auto& [piece, id] : vocabulary) {
    require(id >= 0, "vocabulary: id ", id, " given for a piece, at least 0 is needed");
    const bool is_later = piece.starts_with(kLater);
    const std::string chars = is_later ? piece.substr(kLater.size()) : piece;
    (is_later ? later_pieces_ : first_pieces_).emplace(chars, id);
    longest_ = std::max(longest_, chars.size());
  }
}

CutTexts WordPiece::cut(std::span<const std::string_view> texts, std::int32_t max_tokens) const {
  require(max_tokens >= 0, "max_tokens: ", max_tokens, " given, at least 0 is needed");
  CutTexts cut;
  cut.offsets.reserve(texts.size() + 1);
  cut.offsets.push_back(0);
  std::vector<std::int32_t> row;
  for (std::size_t number = 0; number < texts.size(); ++number) {
    const std::size_t num_words_before = cut.foreign_words.size();
    row.clear();
    if (!cut_text(texts[number], max_tokens, row, cut.foreign_words)) {
      row.clear();
      cut.foreign_words.resize(num_words_before);
      cut.foreign_texts.push_back(static_cast<std::int32_t>(number));
    }
    for (std::size_t word = num_words_before; word < cut.foreign_words.size(); ++word) {
      cut.foreign_words[word].row = static_cast<std::int32_t>(number);
    }
    cut.token_ids.insert(cut.token_ids.end(), row.begin(), row.end());
    require(cut.token_ids.size() <= std::numeric_limits<std::int32_t>::max(),
            "texts: more tokens than ", std::numeric_limits<std::int32_t>::max());
    cut.offsets.push_back(static_cast<std::int32_t>(cut.token_ids.size()));
  }
  return cut;
}

// Whether the text is not foreign; if it is, what is appended has no meaning.
bool WordPiece::cut_text(std::string_view text, std::int32_t max_tokens,
                         std::vector<std::int32_t>& token_ids,
                         std::vector<ForeignWord>& foreign_words) const {
  std::size_t num_foreign_bytes = 0;
  std::size_t end = 0;
  for (std::size_t begin = 0; begin < text.size() && std::ssize(token_ids) < max_tokens;
       begin = end + 1) {
    bool is_foreign = false;
    for (end = begin; end < text.size() && kind_of(text[end]) != Kind::kSpace; ++end) {
      is_foreign |= kind_of(text[end]) == Kind::kForeign;
    }
    if (!is_foreign) {
      append_unit(text.substr(begin, end - begin), token_ids);
      continue;
    }
    if (end - begin > kMaxForeignBytes) return false;
    num_foreign_bytes += end - begin;
    foreign_words.push_back({0, static_cast<std::int32_t>(token_ids.size()), begin, end});
  }
  token_ids.resize(std::min<std::size_t>(token_ids.size(), max_tokens));
  return num_foreign_bytes * kForeignShare <= end;
}

// A unit has no space in it, and no byte beyond ASCII.
void WordPiece::append_unit(std::string_view unit, std::vector<std::int32_t>& token_ids) const {
  // One character more than a word may have shows that it is too long.
  std::array<char, kMaxWordChars + 1> word;
  std::size_t size = 0;
  const auto end_word = [&] {
    if (size > 0) append_word({word.data(), size}, token_ids);
    size = 0;
  };
  for (const char c : unit) {
    const Kind kind = kind_of(c);
    if (kind == Kind::kLetter) {
      if (size < word.size()) word[size++] = lowered(c);
    } else if (kind == Kind::kPunctuation) {
      end_word();
      append_word({&c, 1}, token_ids);
    }
  }
  end_word();
}

void WordPiece::append_word(std::string_view word, std::vector<std::int32_t>& token_ids) const {
  const std::size_t num_before = token_ids.size();
  bool is_known = word.size() <= kMaxWordChars;
  std::size_t begin = 0;
  while (is_known && begin < word.size()) {
    const PieceIds& pieces = begin == 0 ? first_pieces_ : later_pieces_;
    std::size_t length = std::min(word.size() - begin, longest_);
    auto found = pieces.end();
    while (length > 0 && (found = pieces.find(word.substr(begin, length))) == pieces.end()) {
      --length;
    }
    is_known = length > 0;
    if (is_known) token_ids.push_back(found->second);
    begin += length;
  }
  if (!is_known) {
    token_ids.resize(num_before);
    token_ids.push_back(unknown_id_);
  }
}

}  // namespace twopass
