#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "demand.h"
#include "twopass/candidate_bytes.h"

// Whatever bytes a message has, what is read of them keeps the limits and is read again from less.

namespace twopass {
namespace {

constexpr CandidateLimits kLimits{
    .max_candidates = 5, .max_passage_bytes = 40, .max_id_bytes = 8, .max_rest_bytes = 32};

void check(std::string_view message) {
  const auto read = read_candidates(message, kLimits);
  if (!read) return;
  const std::size_t count = read->passages.size();
  DEMAND(count > 0 && count <= kLimits.max_candidates);
  DEMAND(read->ids.size() == count && read->scores.size() == count &&
         read->has_score.size() == count);
  DEMAND(read->rest.size() <= kLimits.max_rest_bytes);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view passage = read->passages[i];
    DEMAND(!passage.empty() && passage.size() <= kLimits.max_passage_bytes);
    DEMAND(passage.find('\0') == std::string_view::npos);
    DEMAND(num_code_points(passage) <= passage.size());
    DEMAND(read->ids[i].size() <= kLimits.max_id_bytes && std::isfinite(read->scores[i]));
  }
  DEMAND(!read_candidates(read->rest, kLimits));  // it holds no candidates
}

}  // namespace
}  // namespace twopass

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  twopass::check({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
