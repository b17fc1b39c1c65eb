#include "twopass/assembly.h"

#include <algorithm>
#include <cstddef>

#include "packing/row_offsets.h"
#include "require.h"

namespace twopass {
namespace {

void append(std::vector<std::int32_t>& token_ids, std::span<const std::int32_t> more) {
  token_ids.insert(token_ids.end(), more.begin(), more.end());
}

// head row tail, for each row, its end cut to fit. Leaves query_lengths empty.
Assembly frame_rows(const RaggedView& rows, std::span<const std::int32_t> head,
                    std::span<const std::int32_t> tail, std::int32_t max_seq_len) {
  const auto frame = static_cast<std::int64_t>(head.size() + tail.size());
  const std::int64_t room = max_seq_len - frame;
  const auto kept = [&rows, room](std::size_t row) {
    return std::min(std::ssize(rows[row]), room);
  };

  Assembly assembly;
  assembly.truncated.reserve(rows.num_rows());
  for (std::size_t row = 0; row < rows.num_rows(); ++row) {
    const std::int64_t least = rows[row].empty() ? 0 : 1;
    require(room >= least, "max_seq_len: ", max_seq_len, " given, at least ", frame + least,
            " for row ", row, " and the ", frame, " tokens around it (template and query)");
    assembly.truncated.push_back(kept(row) < std::ssize(rows[row]));
  }

  TokenBatch& batch = assembly.batch;
  batch.offsets =
      row_offsets(rows.num_rows(), [&kept, frame](std::size_t row) { return frame + kept(row); });
  batch.token_ids.reserve(batch.offsets.back());
  for (std::size_t row = 0; row < rows.num_rows(); ++row) {
    append(batch.token_ids, head);
    append(batch.token_ids, rows[row].first(kept(row)));
    append(batch.token_ids, tail);
  }
  return assembly;
}

}  // namespace

Assembly assemble_pairs(std::span<const std::int32_t> query_ids, const RaggedView& passages,
                        const PairTemplate& pair_template, std::int32_t max_seq_len) {
  const auto& [prefix, separator, suffix] = pair_template;
  std::vector<std::int32_t> head;
  append(head, prefix);
  append(head, query_ids);
  append(head, separator);
  Assembly assembly = frame_rows(passages, head, suffix, max_seq_len);
  const std::size_t query_length =
      prefix.size() + query_ids.size() + std::min<std::size_t>(1, separator.size());
  assembly.batch.query_lengths.assign(passages.num_rows(), static_cast<std::int32_t>(query_length));
  return assembly;
}

Assembly assemble_singles(const RaggedView& texts, std::span<const std::int32_t> prefix,
                          std::span<const std::int32_t> suffix, std::int32_t max_seq_len) {
  Assembly assembly = frame_rows(texts, prefix, suffix, max_seq_len);
  TokenBatch& batch = assembly.batch;
  batch.query_lengths.reserve(texts.num_rows());
  for (std::size_t row = 0; row < texts.num_rows(); ++row) {
    batch.query_lengths.push_back(batch.offsets[row + 1] - batch.offsets[row]);
  }
  return assembly;
}

}  // namespace twopass
