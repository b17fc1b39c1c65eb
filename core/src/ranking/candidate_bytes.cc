#include "twopass/candidate_bytes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace twopass {
namespace {

// Wire types, and tags of protos/twopass/v1/rerank.proto: field number times 8, plus the wire type.
enum WireType : std::uint32_t { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };
constexpr std::uint32_t kCandidates = 2 << 3 | kLength;  // of RerankRequest
constexpr std::uint32_t kText = 1 << 3 | kLength;        // of Candidate
constexpr std::uint32_t kTitle = 2 << 3 | kLength;
constexpr std::uint32_t kId = 3 << 3 | kLength;
constexpr std::uint32_t kScore = 4 << 3 | kFixed32;

// Protobuf writes no tag or length in more bytes; what others write in more is left to it.
constexpr int kMaxTagBytes = 5;
constexpr int kMaxVarintBytes = 10;

// The bytes of fields, read from the front. Every function returns whether it could.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}

  bool is_empty() const { return at_ == end_; }
  const char* position() const { return at_; }

  bool read_number(std::uint32_t& number) {
    std::uint64_t value = 0;
    for (int i = 0; i < kMaxTagBytes && at_ < end_; ++i) {
      const auto byte = static_cast<unsigned char>(*at_++);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
      if (byte < 0x80) {
        number = static_cast<std::uint32_t>(value);
        return value <= 0xffffffff;
      }
    }
    return false;
  }

  bool read_bytes(std::string_view& bytes) {
    std::uint32_t size = 0;
    if (!read_number(size) || size > static_cast<std::size_t>(end_ - at_)) return false;
    bytes = {at_, size};
    at_ += size;
    return true;
  }

  bool read_float(float& value) {
    if (end_ - at_ < 4) return false;
    std::uint32_t bits = 0;
    for (int i = 3; i >= 0; --i) bits = bits << 8 | static_cast<unsigned char>(at_[i]);
    value = std::bit_cast<float>(bits);
    at_ += 4;
    return true;
  }

  bool skip(std::uint32_t wire_type) {
    std::string_view bytes;
    switch (wire_type) {
      case kVarint:
        for (int i = 0; i < kMaxVarintBytes && at_ < end_; ++i) {
          if (static_cast<unsigned char>(*at_++) < 0x80) return true;
        }
        return false;
      case kLength:
        return read_bytes(bytes);
      case kFixed32:
        return skip_bytes(4);
      case kFixed64:
        return skip_bytes(8);
      default:  // groups, which no message here has
        return false;
    }
  }

 private:
  bool skip_bytes(std::ptrdiff_t count) {
    if (end_ - at_ < count) return false;
    at_ += count;
    return true;
  }

  const char* at_;
  const char* end_;
};

bool is_continuation(unsigned char byte) { return (byte & 0xc0) == 0x80; }

// Bytes of a character, by the first of them.
std::size_t num_bytes(unsigned char lead) {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

// As in table 3-7 of the Unicode standard: no surrogates, nothing longer than it needs to be.
bool is_utf8(std::string_view text) {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = at + text.size();
  while (at < end) {
    std::uint64_t eight = 0;
    while (end - at >= 8 && (std::memcpy(&eight, at, 8), (eight & 0x8080808080808080) == 0)) {
      at += 8;
    }
    if (at == end) break;
    const unsigned char lead = *at;
    if (lead < 0x80) {
      ++at;
      continue;
    }
    if (lead < 0xc2 || lead > 0xf4) return false;
    const std::size_t size = num_bytes(lead);
    if (static_cast<std::size_t>(end - at) < size) return false;
    const unsigned char least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const unsigned char most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < least || at[1] > most) return false;
    for (std::size_t i = 2; i < size; ++i) {
      if (!is_continuation(at[i])) return false;
    }
    at += size;
  }
  return true;
}

// Whether Python's str.strip removes a character; those of four bytes it leaves.
bool is_white_space(std::string_view character) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(character[i]); };
  char32_t code = at(0);
  if (character.size() == 2) code = (code & 0x1f) << 6 | (at(1) & 0x3f);
  if (character.size() == 3) code = (code & 0x0f) << 12 | (at(1) & 0x3f) << 6 | (at(2) & 0x3f);
  const auto is_between = [&](char32_t first, char32_t last) {
    return first <= code && code <= last;
  };
  return code == ' ' || is_between('\t', '\r') || is_between(0x1c, 0x1f) || code == 0x85 ||
         code == 0xa0 || code == 0x1680 || is_between(0x2000, 0x200a) || code == 0x2028 ||
         code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

std::string_view stripped(std::string_view text) {
  while (!text.empty()) {
    const std::size_t size = num_bytes(static_cast<unsigned char>(text.front()));
    if (!is_white_space(text.substr(0, size))) break;
    text.remove_prefix(size);
  }
  while (!text.empty()) {
    std::size_t size = 1;
    while (is_continuation(static_cast<unsigned char>(text[text.size() - size]))) ++size;
    if (!is_white_space(text.substr(text.size() - size))) break;
    text.remove_suffix(size);
  }
  return text;
}

bool is_sound(std::string_view text) {
  return text.find('\0') == std::string_view::npos && is_utf8(text);
}

bool read_candidate(std::string_view bytes, const CandidateLimits& limits, ReadCandidates& read) {
  std::string_view text;
  std::string_view title;
  std::string_view id;
  float score = 0;
  bool has_score = false;
  for (Fields fields(bytes); !fields.is_empty();) {
    std::uint32_t tag = 0;
    if (!fields.read_number(tag)) return false;
    bool is_read = false;
    switch (tag) {  // of a field that comes again the last counts
      case kText:
        is_read = fields.read_bytes(text) && is_sound(text);
        break;
      case kTitle:
        is_read = fields.read_bytes(title) && is_sound(title);
        break;
      case kId:
        is_read = fields.read_bytes(id) && is_sound(id);
        break;
      case kScore:
        is_read = has_score = fields.read_float(score);
        break;
      default:
        break;
    }
    if (!is_read) return false;
  }
  std::string_view passage = text;
  if (!title.empty()) {
    std::string& joined = read.joined.emplace_back();
    joined.reserve(title.size() + 1 + text.size());
    joined.append(title).append(1, ' ').append(text);
    passage = stripped(joined);
  }
  if (passage.empty() || passage.size() > limits.max_passage_bytes ||
      id.size() > limits.max_id_bytes || !std::isfinite(score)) {
    return false;
  }
  read.passages.push_back(passage);
  read.ids.push_back(id);
  read.scores.push_back(score);
  read.has_score.push_back(has_score ? 1 : 0);
  return read.passages.size() <= limits.max_candidates;
}

}  // namespace

std::optional<ReadCandidates> read_candidates(std::string_view message,
                                              const CandidateLimits& limits) {
  ReadCandidates read;
  for (Fields fields(message); !fields.is_empty();) {
    const char* const start = fields.position();
    std::uint32_t tag = 0;
    if (!fields.read_number(tag)) return std::nullopt;
    if (tag == kCandidates) {
      std::string_view candidate;
      if (!fields.read_bytes(candidate) || !read_candidate(candidate, limits, read)) {
        return std::nullopt;
      }
    } else {
      if (!fields.skip(tag & 7)) return std::nullopt;
      read.rest.append(start, fields.position());
      if (read.rest.size() > limits.max_rest_bytes) return std::nullopt;
    }
  }
  if (read.passages.empty()) return std::nullopt;
  return read;
}

std::size_t num_code_points(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace twopass
