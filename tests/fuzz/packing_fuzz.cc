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
#include "twopass/splicing.h"

// Ragged rows are packed or refused, whatever offsets, row numbers, positions and lengths are
// given; what is packed is made of the tokens of the rows asked for.

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

// Told rather than thrown: what is thrown passes for input that is refused.
bool are_sound(const Ints& token_ids, const Ints& offsets) {
  try {
    RaggedView(token_ids, offsets);
  } catch (const std::invalid_argument&) {
    return false;
  }
  return true;
}

void check_rows(const TokenBatch& batch) {
  DEMAND(are_sound(batch.token_ids, batch.offsets));
  DEMAND(batch.offsets.size() == batch.query_lengths.size() + 1);
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

void splice_parts(const RaggedView& rows, Input& input) {
  const Ints part_ids = input.numbers();
  const Ints part_offsets = input.offsets(part_ids.size());
  const RaggedView parts(part_ids, part_offsets);
  // Any numbers, or, so that most inputs get further, the last row and the end of it.
  const bool is_any = input.byte() > 100;
  const auto last = static_cast<std::int32_t>(rows.num_rows()) - 1;
  const Ints into = is_any ? input.numbers() : Ints(parts.num_rows(), last);
  const Ints positions =
      is_any || last < 0
          ? input.numbers()
          : Ints(parts.num_rows(), static_cast<std::int32_t>(rows[rows.num_rows() - 1].size()));
  const std::int32_t max_tokens = input.number();
  const OwnedRows all = splice(rows, into, positions, parts, max_tokens);
  DEMAND(are_sound(all.token_ids, all.offsets));
  const RaggedView spliced(all.token_ids, all.offsets);
  DEMAND(spliced.num_rows() == rows.num_rows());
  Ints lengths(rows.num_rows());
  for (std::size_t i = 0; i < rows.num_rows(); ++i) {
    lengths[i] = static_cast<std::int32_t>(rows[i].size());
  }
  for (std::size_t i = 0; i < parts.num_rows(); ++i) {
    lengths[static_cast<std::size_t>(into[i])] += static_cast<std::int32_t>(parts[i].size());
  }
  for (std::size_t i = 0; i < rows.num_rows(); ++i) {
    DEMAND(spliced[i].size() == static_cast<std::size_t>(std::min(lengths[i], max_tokens)));
  }
}

}  // namespace
}  // namespace twopass

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  twopass::Input input({bytes, size});
  constexpr void (*kActions[])(const twopass::RaggedView&, twopass::Input&){
      twopass::gather, twopass::pad, twopass::assemble, twopass::splice_parts};
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
