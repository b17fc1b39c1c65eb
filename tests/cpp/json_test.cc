#include "encoder/json.h"

#include <limits>

#include "check.h"
#include "twopass/errors.h"

namespace twopass {
namespace {

std::string string_in(std::string_view text) {
  JsonReader json(text);
  std::string value = json.read_string();
  json.expect_end();
  return value;
}

std::uint64_t number_in(std::string_view text) {
  JsonReader json(text);
  const std::uint64_t value = json.read_unsigned();
  json.expect_end();
  return value;
}

void skip(std::string_view text) {
  JsonReader json(text);
  json.skip_value();
  json.expect_end();
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(strings_are_read_with_their_escapes) {
  CHECK(string_in(R"("")").empty());
  CHECK(string_in(R"( "a.b" )") == "a.b");
  CHECK(string_in(R"("\"\\\/\b\f\n\r\t")") == "\"\\/\b\f\n\r\t");
  CHECK(string_in(R"("\u0041\u007f")") == "A\x7f");
  CHECK(string_in("\"\xc3\xa9\"") == "\xc3\xa9");
}

TEST(an_escape_beyond_ascii_stays_as_it_is_written) {
  CHECK(string_in(R"("\u00e9\uD83D")") == R"(\u00e9\uD83D)");
}

TEST(strings_that_are_none_are_refused_with_the_place) {
  CHECK_THROWS(ModelError, "'\"' expected at byte 0", string_in("a"));
  CHECK_THROWS(ModelError, "'\"' expected at byte 0", string_in(""));
  CHECK_THROWS(ModelError, "'\"' expected at byte 3", string_in("\"ab"));
  CHECK_THROWS(ModelError, "an escaped character expected at byte 2", string_in("\"\\"));
  CHECK_THROWS(ModelError, "an escaped character", string_in(R"("\x")"));
  CHECK_THROWS(ModelError, "an escaped character", string_in(R"("\u00)"));
  CHECK_THROWS(ModelError, "hexadecimal", string_in(R"("\u00g0")"));
  CHECK_THROWS(ModelError, "hexadecimal", string_in(R"("\u-041")"));
}

TEST(unsigned_integers_are_read_up_to_the_largest) {
  CHECK(number_in("0") == 0);
  CHECK(number_in(" 42 ") == 42);
  CHECK(number_in("18446744073709551615") == std::numeric_limits<std::uint64_t>::max());
}

TEST(numbers_that_are_no_unsigned_integers_are_refused) {
  CHECK_THROWS(ModelError, "an integer from 0", number_in("18446744073709551616"));
  CHECK_THROWS(ModelError, "an integer from 0", number_in("-1"));
  CHECK_THROWS(ModelError, "an integer from 0", number_in(""));
  CHECK_THROWS(ModelError, "end expected at byte 1", number_in("1.5"));
  CHECK_THROWS(ModelError, "end expected at byte 1", number_in("1e3"));
}

TEST(objects_and_arrays_are_walked_in_order) {
  JsonReader json(R"({"a": [1, 2,3], "b": [], "c": {}})");
  std::string seen;
  json.read_object([&](const std::string& name) {
    seen += name;
    if (name == "c") {
      json.read_object([](const std::string&) {});
    } else {
      json.read_array([&] { seen += std::to_string(json.read_unsigned()); });
    }
  });
  json.expect_end();
  CHECK(seen == "a123bc");
}

TEST(objects_that_are_none_are_refused) {
  for (const char* text : {"{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}",
                           "{\"a\" 1}", "{1:1}", "{,}", "{\"a\":1]", "[1,", "[1", "[,]", "[1,]"}) {
    CHECK_THROWS(ModelError, "expected at byte", skip(text));
  }
}

TEST(any_value_can_be_skipped) {
  skip(R"({"a": [true, false, null, -1.5e-7, "]}", {"b": {}}]})");
  CHECK_THROWS(ModelError, "a value expected at byte 0", skip(""));
  CHECK_THROWS(ModelError, "a value expected at byte 2", skip("[ "));
}

TEST(deep_nesting_is_refused_before_it_exhausts_the_stack) {
  skip(nested(16));
  CHECK_THROWS(ModelError, "an end to nesting", skip(nested(17)));
  CHECK_THROWS(ModelError, "an end to nesting", skip(std::string(1'000'000, '[')));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) {
    objects += "{\"a\":";
  }
  CHECK_THROWS(ModelError, "an end to nesting", skip(objects));
}

TEST(what_comes_after_the_end_is_refused) {
  CHECK_THROWS(ModelError, "end expected at byte 3", skip("{} {}"));
  CHECK_THROWS(ModelError, "end expected at byte 2", skip(std::string("{}\0", 3)));
}

}  // namespace
}  // namespace twopass
