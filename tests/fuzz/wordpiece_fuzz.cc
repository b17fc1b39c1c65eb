#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "demand.h"
#include "twopass/wordpiece.h"

// Whatever bytes a text has, its rows are bounded, every foreign word is one, and a text is cut
// alike alone and behind another.

namespace twopass {
namespace {

constexpr std::int32_t kUnknown = 3;

const WordPiece& wordpiece() {
  static const std::vector<std::pair<std::string, std::int32_t>> vocabulary{
      {"a", 0}, {"ab", 1}, {"##b", 2}, {"##ab", 4}, {".", 5}, {"the", 6}};
  static const WordPiece wordpiece(vocabulary, kUnknown);
  return wordpiece;
}

bool is_foreign(char c) { return static_cast<unsigned char>(c) >= 128; }

void check(const CutTexts& cut, std::string_view text, std::int32_t row, std::int32_t max_tokens) {
  const std::int32_t num_tokens = cut.offsets[row + 1] - cut.offsets[row];
  DEMAND(num_tokens >= 0 && num_tokens <= max_tokens);
  DEMAND(std::ranges::all_of(cut.token_ids, [](auto id) { return id >= 0 && id <= 6; }));
  for (const ForeignWord& word : cut.foreign_words) {
    if (word.row != row) continue;
    DEMAND(word.position >= 0 && word.position <= num_tokens);
    DEMAND(word.begin < word.end && word.end <= text.size());
    DEMAND(std::ranges::any_of(text.substr(word.begin, word.end - word.begin), is_foreign));
  }
  const bool is_left_out = std::ranges::find(cut.foreign_texts, row) != cut.foreign_texts.end();
  DEMAND(!is_left_out || (num_tokens == 0 && std::ranges::any_of(text, is_foreign)));
}

}  // namespace
}  // namespace twopass

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace twopass;
  if (size == 0) return 0;
  const std::int32_t max_tokens = bytes[0] % 32;
  const std::string_view text(reinterpret_cast<const char*>(bytes + 1), size - 1);
  const CutTexts alone = wordpiece().cut(std::vector{text}, max_tokens);
  const CutTexts behind =
      wordpiece().cut(std::vector<std::string_view>{"the ab", text}, max_tokens);
  check(alone, text, 0, max_tokens);
  check(behind, text, 1, max_tokens);
  DEMAND(std::ranges::equal(
      alone.token_ids,
      std::span(behind.token_ids).subspan(static_cast<std::size_t>(behind.offsets[1]))));
  DEMAND(alone.foreign_words.size() == behind.foreign_words.size());
  return 0;
}
