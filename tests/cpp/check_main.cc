#include "check.h"

int main() {
  for (const twopass::test::Case& test : twopass::test::cases()) {
    std::printf("%s\n", test.name);
    std::fflush(stdout);
    test.run();
  }
  return twopass::test::num_failures == 0 ? 0 : 1;
}
