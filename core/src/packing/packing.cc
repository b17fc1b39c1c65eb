#include "twopass/packing.h"

#include <algorithm>
#include <cstddef>

#include "packing/row_offsets.h"
#include "require.h"

namespace twopass {
namespace {

void require_known_rows(std::span<const std::int32_t> rows, std::size_t num_sequences) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    require(rows[i] >= 0 && static_cast<std::size_t>(rows[i]) < num_sequences, "rows[", i,
            "]: ", rows[i], " given, at least 0 and below ", num_sequences);
  }
}

}  // namespace

TokenBatch gather_packed(const RaggedView& sequences, std::span<const std::int32_t> query_lengths,
                         std::span<const std::int32_t> rows) {
  require(query_lengths.size() == sequences.num_rows(), "query_lengths: ", query_lengths.size(),
          " given, one for each of ", sequences.num_rows(), " sequences");
  require_known_rows(rows, sequences.num_rows());

  TokenBatch batch;
  batch.offsets =
      row_offsets(rows.size(), [&](std::size_t i) { return sequences[rows[i]].size(); });
  batch.token_ids.reserve(batch.offsets.back());
  batch.query_lengths.reserve(rows.size());
  for (const std::int32_t row : rows) {
    const std::span<const std::int32_t> token_ids = sequences[row];
    batch.token_ids.insert(batch.token_ids.end(), token_ids.begin(), token_ids.end());
    batch.query_lengths.push_back(query_lengths[row]);
  }
  return batch;
}

void pack_padded(const RaggedView& sequences, std::span<const std::int32_t> rows,
                 std::int32_t seq_len, std::int32_t pad_id, std::span<std::int32_t> out_token_ids,
                 std::span<std::int32_t> out_lengths) {
  require(seq_len >= 1, "seq_len: ", seq_len, " given, at least 1");
  const auto width = static_cast<std::size_t>(seq_len);
  require(out_token_ids.size() / width >= rows.size(), "out_token_ids: ", out_token_ids.size(),
          " elements given, at least ", rows.size(), " x ", seq_len);
  require(out_lengths.size() >= rows.size(), "out_lengths: ", out_lengths.size(),
          " elements given, at least ", rows.size());
  require_known_rows(rows, sequences.num_rows());
  for (const std::int32_t row : rows) {
    require(sequences[row].size() <= width, "row ", row, ": ", sequences[row].size(),
            " tokens given, at most seq_len, ", seq_len);
  }

  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::span<const std::int32_t> token_ids = sequences[rows[i]];
    const std::span<std::int32_t> out_row = out_token_ids.subspan(i * width, width);
    std::fill(std::copy(token_ids.begin(), token_ids.end(), out_row.begin()), out_row.end(),
              pad_id);
    out_lengths[i] = static_cast<std::int32_t>(token_ids.size());
  }
}

}  // namespace twopass
