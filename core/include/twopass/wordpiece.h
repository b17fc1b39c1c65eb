#ifndef TWOPASS_WORDPIECE_H_
#define TWOPASS_WORDPIECE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace twopass {

// A word with characters beyond ASCII, which is left to whoever knows Unicode.
struct ForeignWord {
  std::int32_t row;       // of the text that it stands in
  std::int32_t position;  // where its tokens belong, counted among the tokens that the row has here
  std::size_t begin;      // bytes of the text
  std::size_t end;
};

// What WordPiece::cut makes of some texts.
struct CutTexts {
  std::vector<std::int32_t> token_ids;      // [num_tokens]
  std::vector<std::int32_t> offsets;        // [num_texts + 1]
  std::vector<ForeignWord> foreign_words;   // in the order of the texts
  std::vector<std::int32_t> foreign_texts;  // rows, empty here, that hold little but foreign words
};

// Cuts words of ASCII into pieces of a vocabulary: greedily, the longest first (Wu et al. 2016), as
// BERT's uncased tokenizers do after cleaning, lowering and cutting at spaces and punctuation.
class WordPiece {
 public:
  static constexpr std::size_t kMaxWordChars = 100;

  // A piece that begins with "##" goes on within a word. Throws std::invalid_argument for a
  // negative id.
  WordPiece(std::span<const std::pair<std::string, std::int32_t>> vocabulary,
            std::int32_t unknown_id);

  // The pieces of each text. No more of it is read than needed for max_tokens pieces, of which a
  // row with foreign words may have some more. Throws std::invalid_argument for a negative
  // max_tokens, and where the texts have more tokens than int32 counts.
  CutTexts cut(std::span<const std::string_view> texts, std::int32_t max_tokens) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  using PieceIds = std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>>;

  bool cut_text(std::string_view text, std::int32_t max_tokens,
                std::vector<std::int32_t>& token_ids,
                std::vector<ForeignWord>& foreign_words) const;
  void append_unit(std::string_view unit, std::vector<std::int32_t>& token_ids) const;
  void append_word(std::string_view word, std::vector<std::int32_t>& token_ids) const;

  PieceIds first_pieces_;
  PieceIds later_pieces_;  // without "##"
  std::size_t longest_ = 0;
  std::int32_t unknown_id_;
};

}  // namespace twopass

#endif  // TWOPASS_WORDPIECE_H_
