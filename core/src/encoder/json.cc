#include "encoder/json.h"

#include <charconv>

#include "twopass/errors.h"

namespace twopass {
namespace {

constexpr int kMaxDepth = 16;

}  // namespace

void JsonReader::fail(std::string_view expected) const {
  throw ModelError("JSON: " + std::string(expected) + " expected at byte " +
                   std::to_string(place_));
}

void JsonReader::skip_space() {
  while (place_ < text_.size() && std::string_view(" \t\n\r").find(text_[place_]) != text_.npos) {
    ++place_;
  }
}

bool JsonReader::take(char character) {
  skip_space();
  if (place_ == text_.size() || text_[place_] != character) {
    return false;
  }
  ++place_;
  return true;
}

void JsonReader::expect(char character) {
  if (!take(character)) {
    fail(std::string{'\'', character, '\''});
  }
}

void JsonReader::expect_end() {
  skip_space();
  if (place_ != text_.size()) {
    fail("end");
  }
}

std::string JsonReader::read_string() {
  expect('"');
  std::string value;
  while (place_ < text_.size() && text_[place_] != '"') {
    const char character = text_[place_++];
    if (character == '\\') {
      append_escaped(value);
    } else {
      value += character;
    }
  }
  if (place_ == text_.size()) {
    fail("'\"'");
  }
  ++place_;
  return value;
}

// Of an escaped character. Tensors' names are ASCII, so \u beyond it is kept as it is written.
void JsonReader::append_escaped(std::string& value) {
  if (place_ == text_.size()) {
    fail("an escaped character");
  }
  constexpr std::string_view kEscapes = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
  const char character = text_[place_++];
  if (const std::size_t i = kEscapes.find(character); i != kEscapes.npos) {
    value += kMeanings[i];
    return;
  }
  if (character != 'u' || text_.size() - place_ < 4) {
    fail("an escaped character");
  }
  const std::string_view digits = text_.substr(place_, 4);
  unsigned code = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + 4, code, 16);
  if (error != std::errc() || end != digits.data() + 4) {
    fail("four hexadecimal digits");
  }
  place_ += 4;
  if (code < 0x80) {
    value += static_cast<char>(code);
  } else {
    value.append("\\u").append(digits);
  }
}

std::uint64_t JsonReader::read_unsigned() {
  skip_space();
  std::uint64_t value = 0;
  const char* begin = text_.data() + place_;
  const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
  if (error != std::errc()) {
    fail("an integer from 0 to 2^64 - 1");
  }
  place_ += static_cast<std::size_t>(end - begin);
  return value;
}

void JsonReader::skip_value() {
  if (++depth_ > kMaxDepth) {
    fail("an end to nesting");
  }
  skip_space();
  const char next = place_ < text_.size() ? text_[place_] : '\0';
  if (next == '{') {
    read_object([this](const std::string&) { skip_value(); });
  } else if (next == '[') {
    read_array([this] { skip_value(); });
  } else if (next == '"') {
    read_string();
  } else {
    skip_literal();
  }
  --depth_;
}

// A number, true, false or null, without a look at whether it is well formed.
void JsonReader::skip_literal() {
  const std::size_t begin = place_;
  while (place_ < text_.size() &&
         std::string_view(",]} \t\n\r").find(text_[place_]) == text_.npos) {
    ++place_;
  }
  if (place_ == begin) {
    fail("a value");
  }
}

}  // namespace twopass
