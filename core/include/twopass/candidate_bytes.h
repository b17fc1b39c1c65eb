#ifndef TWOPASS_CANDIDATE_BYTES_H_
#define TWOPASS_CANDIDATE_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace twopass {

// What the server allows of candidates, and how long the other fields may be together.
struct CandidateLimits {
  std::size_t max_candidates;
  std::size_t max_passage_bytes;
  std::size_t max_id_bytes;
  std::size_t max_rest_bytes;
};

// The candidates of a RerankRequest. All views are valid UTF-8 without a NUL.
struct ReadCandidates {
  std::vector<std::string_view> passages;  // [num_candidates], title and text, never empty
  std::vector<std::string_view> ids;       // [num_candidates]
  std::vector<float> scores;               // [num_candidates], finite; 0 where there is none
  std::vector<std::uint8_t> has_score;     // [num_candidates]
  std::string rest;                        // what the message holds beside them, as it stands there
  std::deque<std::string> joined;          // of passages with a title: of these they are views
};

// Reads the candidates of a RerankRequest from its bytes, without a copy but of passages with a
// title, which the models read as `title text` without white space around.
//
// Nothing where a decoder of protobuf should read the message: where its candidates are malformed,
// break a limit or a rule of the server, or hold a field that is unknown here. What is wrong is for
// those to tell who read the message then. The views are of the message and of `joined`.
std::optional<ReadCandidates> read_candidates(std::string_view message,
                                              const CandidateLimits& limits);

// How many code points valid UTF-8 has.
std::size_t num_code_points(std::string_view utf8);

}  // namespace twopass

#endif  // TWOPASS_CANDIDATE_BYTES_H_
