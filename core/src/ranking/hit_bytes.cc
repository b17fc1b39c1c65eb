#include "twopass/hit_bytes.h"

#include <bit>
#include <cstddef>

#include "require.h"

namespace twopass {
namespace {

// Tags of protos/twopass/v1/rerank.proto: field number times 8, plus the wire type.
constexpr char kHits = 1 << 3 | 2;  // of RerankResponse
constexpr char kIndex = 1 << 3 | 0;
constexpr char kId = 2 << 3 | 2;
constexpr char kScore = 3 << 3 | 5;
constexpr char kLogit = 4 << 3 | 5;
constexpr char kTruncated = 5 << 3 | 0;

void append_varint(std::string& bytes, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  bytes.push_back(static_cast<char>(value));
}

// protobuf leaves out what is 0 to the bit: -0.0 is written.
void append_float(std::string& bytes, char tag, float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (bits == 0) return;
  bytes.push_back(tag);
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(bits >> shift));
}

}  // namespace

std::string hit_bytes(std::span<const std::int32_t> order, std::span<const std::string_view> ids,
                      std::span<const float> scores, std::span<const float> logits,
                      std::span<const bool> truncated) {
  const std::size_t count = scores.size();
  require(
      logits.size() == count && truncated.size() == count && (ids.empty() || ids.size() == count),
      "scores: ", count, " given, but ", logits.size(), " logits, ", truncated.size(),
      " of truncated and ", ids.size(), " ids");
  std::string bytes;
  std::string hit;
  for (const std::int32_t index : order) {
    require(index >= 0 && static_cast<std::size_t>(index) < count, "order: candidate ", index,
            " of ", count);
    hit.clear();
    if (index > 0) {
      hit.push_back(kIndex);
      append_varint(hit, static_cast<std::uint64_t>(index));
    }
    if (!ids.empty() && !ids[index].empty()) {
      hit.push_back(kId);
      append_varint(hit, ids[index].size());
      hit.append(ids[index]);
    }
    append_float(hit, kScore, scores[index]);
    append_float(hit, kLogit, logits[index]);
    if (truncated[index]) {
      hit.push_back(kTruncated);
      hit.push_back(1);
    }
    bytes.push_back(kHits);
    append_varint(bytes, hit.size());
    bytes.append(hit);
  }
  return bytes;
}

}  // namespace twopass
