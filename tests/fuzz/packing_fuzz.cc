#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <stdexcept>
#include <vector>

#include "demand.h"
#include "twopass/assembly.h"
#include "twopass/packing.h"
#include "twopass/ragged.h"

// Ragged rows are packed or refused, whatever offsets, row numbers and lengths are given; what is
// packed is made of the tokens of the rows asked for.

namespace twopass {
namespace {

using Ints = std::vector<std::int32_t>;

// Takes an input apart, byte by byte; an input that has ended gives zeros.
class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  std::uint8_t byte() {
    if (bytes_.empty()) {
      return 0;
    }
    const std::uint8_t first = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return first;
  }

  // Mostly a small number, of either sign; after a byte of 127, any.
  std::int32_t number() {
    const auto small = static_cast<std::int8_t>(byte());
    if (small != 127) {
      return small;
    }
    std::uint32_t word = 0;
    for (int i = 0; i < 4; ++i) {
      word = word << 8 | byte();
    }
    return static_cast<std::int32_t>(word);
  }

  Ints numbers() {
    Ints values(byte());
    std::generate(values.begin(), values.end(), [this] { return number(); });
    return values;
  }

  // Offsets of any kind, or, so that most inputs get further, lengths added up.
  Ints offsets(std::size_t num_tokens) {
    const bool is_any = byte() > 250;
    Ints values = numbers();
    if (is_any) {
      return values;
    }
    std::size_t end = 0;
    for (std::int32_t& value : values) {
      end = std::min(num_tokens, end + static_cast<std::size_t>(std::abs(value % 16)));
      value = static_cast<std::int32_t>(end);
    }
    values.insert(values.begin(), 0);
    values.push_back(static_cast<std::int32_t>(num_tokens));
    return values;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

void check_rows(const TokenBatch& batch) {
  const RaggedView view(batch.token_ids, batch.offsets);  // throws unless sound
  DEMAND(view.num_rows() == batch.query_lengths.size());
}

void gather(const RaggedView& sequences, Input& input) {
  const Ints query_lengths =
      input.byte() > 250 ? input.numbers() : Ints(sequences.num_rows(), input.number());
  const Ints rows = input.numbers();
  const TokenBatch batch = gather_packed(sequences, query_lengths, rows);
  check_rows(batch);
  const RaggedView gathered(batch.token_ids, batch.offsets);
  DEMAND(gathered.num_rows() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    DEMAND(std::ranges::equal(gathered[i], sequences[static_cast<std::size_t>(rows[i])]));
  }
}

void pad(const RaggedView& sequences, Input& input) {
  const Ints rows = input.numbers();
  const std::int32_t seq_len = input.number();
  Ints token_ids(rows.size() * 32, -7), lengths(rows.size(), -7);
  pack_padded(sequences, rows, seq_len, -1, token_ids, lengths);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::span<const std::int32_t> row = sequences[static_cast<std::size_t>(rows[i])];
    const auto packed = std::span<const std::int32_t>(token_ids).subspan(
        i * static_cast<std::size_t>(seq_len), static_cast<std::size_t>(seq_len));
    DEMAND(static_cast<std::size_t>(lengths[i]) == row.size());
    DEMAND(std::ranges::equal(packed.first(row.size()), row));
    DEMAND(std::ranges::all_of(packed.subspan(row.size()), [](auto id) { return id == -1; }));
  }
}

void assemble(const RaggedView& rows, Input& input) {
  const Ints query = input.numbers(), prefix = input.numbers();
  const Ints separator = input.numbers(), suffix = input.numbers();
  const std::int32_t max_seq_len = input.number();
  for (const Assembly& assembly :
       {assemble_singles(rows, prefix, suffix, max_seq_len),
        assemble_pairs(query, rows, {prefix, separator, suffix}, max_seq_len)}) {
    check_rows(assembly.batch);
    DEMAND(assembly.truncated.size() == rows.num_rows());
    for (std::size_t i = 0; i < rows.num_rows(); ++i) {
      DEMAND(assembly.batch.offsets[i + 1] - assembly.batch.offsets[i] <= max_seq_len);
    }
  }
}

}  // namespace
}  // namespace twopass

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  twopass::Input input({bytes, size});
  constexpr void (*kActions[])(const twopass::RaggedView&, twopass::Input&){
      twopass::gather, twopass::pad, twopass::assemble};
  const auto action = kActions[input.byte() % std::size(kActions)];
  const twopass::Ints token_ids = input.numbers();
  const twopass::Ints offsets = input.offsets(token_ids.size());
  try {
    action(twopass::RaggedView(token_ids, offsets), input);
  } catch (const std::invalid_argument&) {
    // What the caller gave contradicts itself: that is what he is told.
  }
  return 0;
}
