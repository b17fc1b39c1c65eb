#include "twopass/candidate_bytes.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "check.h"

namespace twopass {
namespace {

using Views = std::vector<std::string_view>;

constexpr CandidateLimits kLimits{
    .max_candidates = 3, .max_passage_bytes = 10, .max_id_bytes = 4, .max_rest_bytes = 8};

std::string field(char tag, std::string_view content) {
  return std::string{tag, static_cast<char>(content.size())}.append(content);
}

std::string candidate(std::string_view content) { return field(2 << 3 | 2, content); }
std::string text(std::string_view content) { return field(1 << 3 | 2, content); }
std::string title(std::string_view content) { return field(2 << 3 | 2, content); }
std::string id(std::string_view content) { return field(3 << 3 | 2, content); }

bool is_read(std::string_view message) { return read_candidates(message, kLimits).has_value(); }

TEST(candidates_are_read_and_other_fields_kept) {
  const std::string score("\x25\x00\x00\x00\x3f", 5);  // 0.5
  const std::string message = "\x0a\x01q" + candidate(text("one") + id("a") + score) + "\x18\x07" +
                              candidate(title("t") + text("two"));
  const auto read = read_candidates(message, kLimits);
  CHECK(read->passages == Views{"one", "t two"});
  CHECK(read->ids == Views{"a", ""});
  CHECK(read->scores == std::vector<float>{0.5F, 0.0F});
  CHECK(read->has_score == std::vector<std::uint8_t>{1, 0});
  CHECK(read->rest == "\x0a\x01q\x18\x07");
}

TEST(a_passage_with_a_title_has_no_white_space_around_it) {
  const auto is_passage = [](std::string_view expected, std::string_view content) {
    const std::string message = candidate(content);
    return read_candidates(message, kLimits)->passages == Views{expected};
  };
  CHECK(is_passage("x y", title(" \t\xe3\x80\x80x") + text("y\xc2\x85\n")));
  CHECK(is_passage("\xe2\x80\x8b \xf0\x9f\x98\x80",  // neither is white space
                   title("\xe2\x80\x8b") + text("\xf0\x9f\x98\x80")));
  CHECK(is_passage("x", title("x")));
  CHECK(is_passage(" x ", text(" x ")));
  CHECK(!is_read(candidate(title(" ") + text("\xc2\xa0"))));
}

TEST(views_hold_after_a_move) {
  const std::string message = candidate(title("a") + text("b"));
  auto read = read_candidates(message, kLimits);
  const ReadCandidates moved = std::move(*read);
  read.reset();
  CHECK(moved.passages == Views{"a b"});
}

TEST(limits_hold_to_the_byte) {
  CHECK(is_read(candidate(text("0123456789"))));
  CHECK(!is_read(candidate(text("0123456789a"))));
  CHECK(is_read(candidate(text("x") + id("abcd"))));
  CHECK(!is_read(candidate(text("x") + id("abcde"))));
  const std::string one = candidate(text("x"));
  CHECK(is_read(one + one + one));
  CHECK(!is_read(one + one + one + one));
  CHECK(is_read(one + "\x0a\x06"
                      "abcdef"));
  CHECK(!is_read(one + "\x0a\x07"
                       "abcdefg"));
}

TEST(what_is_malformed_is_not_read) {
  const std::string whole = candidate(text("text") + id("id"));
  for (std::size_t size = 0; size < whole.size(); ++size) CHECK(!is_read(whole.substr(0, size)));
  CHECK(!is_read(candidate(text("\xff"))));
  CHECK(!is_read(candidate(text(std::string_view("a\0b", 3)))));
  CHECK(!is_read(candidate(text("x")) + "\x80\x80\x80\x80\x80\x01"));
  CHECK(!is_read(candidate(text("x")) + "\x0b\x0c"));
}

TEST(code_points_are_counted) {
  CHECK(num_code_points("") == 0);
  CHECK(num_code_points("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80") == 4);
}

}  // namespace
}  // namespace twopass
