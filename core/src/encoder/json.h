#ifndef TWOPASS_SRC_ENCODER_JSON_H_
#define TWOPASS_SRC_ENCODER_JSON_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace twopass {

// Reads JSON (RFC 8259) front to back, as much of it as a safetensors header needs: objects,
// arrays, strings, and unsigned integers. Each call throws ModelError, with the place, when
// something else is there.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  // Skips white space, then the character if it comes next.
  bool take(char character);
  void expect(char character);
  void expect_end();

  std::string read_string();
  std::uint64_t read_unsigned();
  // Any value; nested deeper than 16 is refused.
  void skip_value();

  // Calls read_member(name) for each member of an object; it must read the value.
  template <typename Function>
  void read_object(Function read_member) {
    expect('{');
    if (take('}')) {
      return;
    }
    do {
      const std::string name = read_string();
      expect(':');
      read_member(name);
    } while (take(','));
    expect('}');
  }

  // Calls read_element() for each element of an array.
  template <typename Function>
  void read_array(Function read_element) {
    expect('[');
    if (take(']')) {
      return;
    }
    do {
      read_element();
    } while (take(','));
    expect(']');
  }

 private:
  void skip_space();
  void append_escaped(std::string& value);
  void skip_literal();
  [[noreturn]] void fail(std::string_view expected) const;

  std::string_view text_;
  std::size_t place_ = 0;
  int depth_ = 0;
};

}  // namespace twopass

#endif  // TWOPASS_SRC_ENCODER_JSON_H_
