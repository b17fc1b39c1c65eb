#ifndef TWOPASS_BINDINGS_UTF8_H_
#define TWOPASS_BINDINGS_UTF8_H_

#include <nanobind/nanobind.h>

#include <string_view>
#include <vector>

namespace twopass {

// The UTF-8 of strings. Python keeps a string's UTF-8 as long as the string, so the views hold as
// long as the list. Throws for a lone surrogate, and for what is no string.
inline std::vector<std::string_view> utf8_of(const nanobind::list& texts) {
  std::vector<std::string_view> views;
  views.reserve(nanobind::len(texts));
  for (const nanobind::handle text : texts) {
    Py_ssize_t size = 0;
    const char* bytes = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
    if (bytes == nullptr) throw nanobind::python_error();
    views.emplace_back(bytes, static_cast<std::size_t>(size));
  }
  return views;
}

}  // namespace twopass

#endif  // TWOPASS_BINDINGS_UTF8_H_
