#ifndef TWOPASS_TESTS_FUZZ_DEMAND_H_
#define TWOPASS_TESTS_FUZZ_DEMAND_H_

#include <cstdio>
#include <cstdlib>

// Ends the process, as a sanitizer does, where an input leads to what must never be.
#define DEMAND(...)                                                                  \
  do {                                                                               \
    if (!(__VA_ARGS__)) {                                                            \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #__VA_ARGS__); \
      std::abort();                                                                  \
    }                                                                                \
  } while (false)

#endif  // TWOPASS_TESTS_FUZZ_DEMAND_H_
