#ifndef TWOPASS_TESTS_CHECK_H_
#define TWOPASS_TESTS_CHECK_H_

#include <cstdio>
#include <exception>
#include <string_view>
#include <vector>

namespace twopass::test {

struct Case {
  const char* name;
  void (*run)();
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

inline int num_failures = 0;

inline void report(bool holds, const char* expectation, const char* file, int line) {
  if (!holds) {
    ++num_failures;
    std::fprintf(stderr, "%s:%d: not so: %s\n", file, line, expectation);
  }
}

// Whether the action throws an Error whose message contains part.
template <typename Error, typename Action>
bool throws_with(std::string_view part, Action action) {
  try {
    action();
  } catch (const Error& error) {
    return std::string_view(error.what()).find(part) != std::string_view::npos;
  }
  return false;
}

}  // namespace twopass::test

// Defines a test case; its name is the sentence that it checks.
#define TEST(name)                                                                               \
  static void name();                                                                            \
  static const bool name##_registered = (twopass::test::cases().push_back({#name, name}), true); \
  static void name()

#define CHECK(...) twopass::test::report((__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

#define CHECK_THROWS(Error, part, ...)                                                         \
  twopass::test::report(twopass::test::throws_with<Error>(part, [&] { (void)(__VA_ARGS__); }), \
                        #__VA_ARGS__ " throws " #Error " with " #part, __FILE__, __LINE__)

#endif  // TWOPASS_TESTS_CHECK_H_
