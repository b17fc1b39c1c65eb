#include "twopass/hit_bytes.h"

#include <bit>
#include <limits>
#include <memory>
#include <stdexcept>

#include "check.h"
#include "samples.h"
#include "zeros.h"

namespace twopass {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

using Ints = std::vector<std::int32_t>;
using Floats = std::vector<float>;
using Views = std::vector<std::string_view>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Candidate {
  std::string id;
  float score;
  float logit;
  bool truncated;
};
using Candidates = std::vector<Candidate>;

std::string written(const Candidates& candidates, const Ints& order, bool with_ids = true) {
  Views ids;
  Floats scores, logits;
  const auto truncated = std::make_unique<bool[]>(candidates.size());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (with_ids) {
      ids.push_back(candidates[i].id);
    }
    scores.push_back(candidates[i].score);
    logits.push_back(candidates[i].logit);
    truncated[i] = candidates[i].truncated;
  }
  return hit_bytes(order, ids, scores, logits, {truncated.get(), candidates.size()});
}

// As https://protobuf.dev/programming-guides/encoding has it, digit by digit.
std::string varint(std::uint64_t value) {
  std::string digits(1, static_cast<char>(value % 128));
  while ((value /= 128) > 0) {
    digits.back() = static_cast<char>(digits.back() + 128);
    digits.push_back(static_cast<char>(value % 128));
  }
  return digits;
}

std::string varint_field(int number, std::uint64_t value) {
  return value == 0 ? "" : varint(number * 8) + varint(value);
}

std::string float_field(int number, float value) {
  auto bits = std::bit_cast<std::uint32_t>(value);
  if (bits == 0) {
    return "";
  }
  std::string field = varint(number * 8 + 5);
  for (int byte = 0; byte < 4; ++byte, bits /= 256) {
    field.push_back(static_cast<char>(bits % 256));
  }
  return field;
}

std::string message_field(int number, std::string_view message) {
  return varint(number * 8 + 2) + varint(message.size()) + std::string(message);
}

std::string written_plainly(const Candidates& candidates, const Ints& order) {
  std::string bytes;
  for (const std::int32_t index : order) {
    const auto& [id, score, logit, truncated] = candidates[index];
    bytes += message_field(1, varint_field(1, index) + (id.empty() ? "" : message_field(2, id)) +
                                  float_field(3, score) + float_field(4, logit) +
                                  varint_field(5, truncated));
  }
  return bytes;
}

TEST(a_hit_is_its_fields_by_number_behind_its_size) {
  const Candidates candidates{{"", 0, 0, false}, {"ab", 0.5F, -2, true}};
  CHECK(written(candidates, {1}) ==
        "\x0a\x12\x08\x01\x12\x02"
        "ab\x1d\0\0\0\x3f\x25\0\0\0\xc0\x28\x01"sv);
}

TEST(nothing_is_written_of_no_hits) {
  CHECK(written({}, {}).empty());
  CHECK(written({{"a", 1, 1, true}}, {}).empty());
}

TEST(zeros_are_left_out_and_minus_zero_is_not) {
  CHECK(written({{"", 0, 0, false}}, {0}) == "\x0a\0"sv);
  CHECK(written({{"", -0.0F, 0, false}}, {0}) == "\x0a\x05\x1d\0\0\0\x80"sv);
  CHECK(written({{"", 0, -0.0F, false}}, {0}) == "\x0a\x05\x25\0\0\0\x80"sv);
}

TEST(floats_are_written_bit_for_bit) {
  CHECK(written({{"", kInfinity, -kInfinity, false}}, {0}) ==
        "\x0a\x0a\x1d\0\0\x80\x7f\x25\0\0\x80\xff"sv);
  const auto quiet = std::bit_cast<float>(0x7fc12345U);
  const auto signalling = std::bit_cast<float>(0xff812345U);
  CHECK(written({{"", quiet, signalling, false}}, {0}) ==
        "\x0a\x0a\x1d\x45\x23\xc1\x7f\x25\x45\x23\x81\xff"sv);
  CHECK(written({{"", std::numeric_limits<float>::denorm_min(), 0, false}}, {0}) ==
        "\x0a\x05\x1d\x01\0\0\0"sv);
}

TEST(hits_stand_in_the_order_given_and_may_repeat) {
  const Candidates candidates{{"a", 1, 2, true}, {"b", 3, 4, false}, {"", 5, 6, false}};
  for (const Ints& order : {Ints{0}, Ints{2, 0}, Ints{1, 2, 0}, Ints{1, 1, 0, 1}}) {
    CHECK(written(candidates, order) == written_plainly(candidates, order));
  }
}

TEST(no_ids_are_empty_ones) {
  const Candidates candidates(3, {"", 1, 2, true});
  CHECK(written(candidates, {2, 0}, false) == written(candidates, {2, 0}));
}

TEST(ids_are_written_as_they_are) {
  CHECK(written({{"\0\xf0\x9f\x98\x80\n"s, 0, 0, false}}, {0}) ==
        "\x0a\x08\x12\x06\0\xf0\x9f\x98\x80\n"sv);
}

TEST(sizes_take_as_many_bytes_as_they_need) {
  // Both the id's size and the hit's, which is a little larger, reach two, three and four bytes.
  for (const int limit : {1 << 7, 1 << 14, 1 << 21}) {
    for (int size = limit - 6; size <= limit; ++size) {
      const Candidates candidates{{std::string(size, 'x'), 0, 0, false}};
      CHECK(written(candidates, {0}) == written_plainly(candidates, {0}));
    }
  }
}

TEST(indices_take_as_many_bytes_as_they_need) {
  constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();
  constexpr std::size_t kCount = std::size_t{1} << 31;
  const test::Zeros<float> zeros(kCount);
  const test::Zeros<bool> falses(kCount);
  const auto hit_of = [&](std::int32_t index) {
    return hit_bytes(Ints{index}, {}, zeros, zeros, falses);
  };
  CHECK(hit_of(1) == "\x0a\x02\x08\x01"sv);
  CHECK(hit_of((1 << 7) - 1) == "\x0a\x02\x08\x7f"sv);
  CHECK(hit_of(1 << 7) == "\x0a\x03\x08\x80\x01"sv);
  CHECK(hit_of((1 << 14) - 1) == "\x0a\x03\x08\xff\x7f"sv);
  CHECK(hit_of(1 << 14) == "\x0a\x04\x08\x80\x80\x01"sv);
  CHECK(hit_of((1 << 21) - 1) == "\x0a\x04\x08\xff\xff\x7f"sv);
  CHECK(hit_of(1 << 21) == "\x0a\x05\x08\x80\x80\x80\x01"sv);
  CHECK(hit_of((1 << 28) - 1) == "\x0a\x05\x08\xff\xff\xff\x7f"sv);
  CHECK(hit_of(1 << 28) == "\x0a\x06\x08\x80\x80\x80\x80\x01"sv);
  CHECK(hit_of(kMost) == "\x0a\x06\x08\xff\xff\xff\xff\x07"sv);
}

TEST(many_hits_are_those_of_plain_encoding) {
  test::Samples samples(1);
  const auto real = [&samples] { return samples.integer(0, 3) == 0 ? 0.0F : samples.real(16); };
  for (int round = 0; round < 100; ++round) {
    Candidates candidates(samples.integer(1, 300));
    for (Candidate& candidate : candidates) {
      candidate = {std::string(samples.integer(0, 160), static_cast<char>(samples.integer(0, 255))),
                   real(), real(), samples.integer(0, 1) == 1};
    }
    Ints order(samples.integer(0, 400));
    for (std::int32_t& index : order) {
      index = samples.integer(0, static_cast<int>(candidates.size()) - 1);
    }
    CHECK(written(candidates, order) == written_plainly(candidates, order));
  }
}

TEST(an_order_beyond_the_candidates_is_refused) {
  const Candidates two{{"a", 1, 1, true}, {"b", 1, 1, true}};
  CHECK_THROWS(std::invalid_argument, "order: candidate 2 of 2", written(two, {0, 2}));
  CHECK_THROWS(std::invalid_argument, "order: candidate -1 of 2", written(two, {-1}));
  CHECK_THROWS(std::invalid_argument, "order: candidate 2147483647 of 2",
               written(two, {std::numeric_limits<std::int32_t>::max()}));
  CHECK_THROWS(std::invalid_argument, "order: candidate -2147483648 of 2",
               written(two, {std::numeric_limits<std::int32_t>::min()}));
  CHECK_THROWS(std::invalid_argument, "order: candidate 0 of 0", written({}, {0}));
}

TEST(sizes_that_differ_are_refused) {
  const Floats one{1}, two{1, 2};
  const bool flags[]{true, false};
  const std::span<const bool> both(flags), first = both.first(1);
  CHECK_THROWS(std::invalid_argument, "scores: 1 given, but 2 logits, 1 of truncated and 0 ids",
               hit_bytes(Ints{0}, {}, one, two, first));
  CHECK_THROWS(std::invalid_argument, "scores: 2 given, but 1 logits, 2 of truncated and 0 ids",
               hit_bytes(Ints{0}, {}, two, one, both));
  CHECK_THROWS(std::invalid_argument, "scores: 2 given, but 2 logits, 1 of truncated and 0 ids",
               hit_bytes(Ints{0}, {}, two, two, first));
  CHECK_THROWS(std::invalid_argument, "scores: 2 given, but 2 logits, 2 of truncated and 1 ids",
               hit_bytes(Ints{0}, Views{"a"}, two, two, both));
}

}  // namespace
}  // namespace twopass
