#ifndef TWOPASS_BINDINGS_TEXTS_H_
#define TWOPASS_BINDINGS_TEXTS_H_

#include <nanobind/nanobind.h>

#include <memory>
#include <string_view>
#include <vector>

namespace twopass {

// Texts as Python sees them: a sequence of strings, each of which is made when it is asked for.
// Keepers hold the bytes that the views are of.
struct Texts {
  std::vector<std::string_view> views;
  nanobind::object message;
  std::shared_ptr<const void> kept;
};

}  // namespace twopass

#endif  // TWOPASS_BINDINGS_TEXTS_H_
