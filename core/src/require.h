#ifndef TWOPASS_SRC_REQUIRE_H_
#define TWOPASS_SRC_REQUIRE_H_

#include <sstream>
#include <stdexcept>

namespace twopass {

// Throws std::invalid_argument with the parts as its message, unless the condition holds. A message
// names the argument, the value received and the limit; it is only put together for the throw.
template <typename... Parts>
void require(bool condition, const Parts&... parts) {
  if (condition) [[likely]] {
    return;
  }
  std::ostringstream message;
  (message << ... << parts);
  throw std::invalid_argument(message.str());
}

}  // namespace twopass

#endif  // TWOPASS_SRC_REQUIRE_H_
