#ifndef TWOPASS_HIT_BYTES_H_
#define TWOPASS_HIT_BYTES_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace twopass {

// The hits of a RerankResponse as protobuf writes them: index, id, score, logit, truncated.
//   order      [num_hits], candidates, best first, each at least 0
//   ids        [num_candidates], UTF-8, or empty where no candidate has an id
//   scores     [num_candidates]
//   logits     [num_candidates]
//   truncated  [num_candidates]
// Throws std::invalid_argument where order leaves the candidates or the sizes differ.
std::string hit_bytes(std::span<const std::int32_t> order, std::span<const std::string_view> ids,
                      std::span<const float> scores, std::span<const float> logits,
                      std::span<const bool> truncated);

}  // namespace twopass

#endif  // TWOPASS_HIT_BYTES_H_
