#include "twopass/packing.h"

#include <stdexcept>
#include <string>

#include "check.h"

namespace twopass {
namespace {

using Ints = std::vector<std::int32_t>;

const Ints kTokenIds{1, 2, 3, 4, 5, 6};
const Ints kOffsets{0, 3, 3, 6};
const Ints kQueryLengths{2, 0, 1};

RaggedView sequences() { return {kTokenIds, kOffsets}; }

TEST(gathered_rows_come_in_the_order_asked_for_with_repeats) {
  const TokenBatch batch = gather_packed(sequences(), kQueryLengths, Ints{2, 1, 0, 2});
  CHECK(batch.token_ids == Ints{4, 5, 6, 1, 2, 3, 4, 5, 6});
  CHECK(batch.offsets == Ints{0, 3, 3, 6, 9});
  CHECK(batch.query_lengths == Ints{1, 0, 2, 1});
}

TEST(gathering_nothing_gives_an_empty_batch) {
  const TokenBatch batch = gather_packed(sequences(), kQueryLengths, {});
  CHECK(batch.token_ids.empty() && batch.query_lengths.empty());
  CHECK(batch.offsets == Ints{0});
}

TEST(rows_that_are_not_there_are_refused) {
  Ints ids(64), lengths(8);
  for (const std::int32_t row : {-1, 3}) {
    CHECK_THROWS(std::invalid_argument, "rows[1]: " + std::to_string(row) + " given",
                 gather_packed(sequences(), kQueryLengths, Ints{0, row}));
    CHECK_THROWS(std::invalid_argument, "rows[1]: " + std::to_string(row) + " given",
                 pack_padded(sequences(), Ints{0, row}, 4, 0, ids, lengths));
  }
}

TEST(query_lengths_belong_to_the_sequences) {
  CHECK_THROWS(std::invalid_argument, "query_lengths: 2 given, one for each of 3",
               gather_packed(sequences(), Ints{2, 0}, {}));
}

TEST(more_tokens_than_int32_counts_are_refused) {
  const Ints ids(70'000, 1);
  const Ints offsets{0, 70'000};
  const Ints rows(40'000, 0);
  CHECK_THROWS(std::invalid_argument, "at most 2147483647",
               gather_packed({ids, offsets}, Ints{1}, rows));
}

TEST(padded_rows_end_in_pad_ids_and_the_rest_of_a_buffer_is_kept) {
  Ints ids(9, -7), lengths(3, -7);
  pack_padded(sequences(), Ints{2, 1}, 4, 0, ids, lengths);
  CHECK(ids == Ints{4, 5, 6, 0, 0, 0, 0, 0, -7});
  CHECK(lengths == Ints{3, 0, -7});
}

TEST(a_buffer_of_exactly_the_size_needed_is_enough_and_one_less_is_refused) {
  Ints ids(6), lengths(2);
  pack_padded(sequences(), Ints{0, 2}, 3, 0, ids, lengths);
  CHECK(ids == kTokenIds);
  CHECK_THROWS(std::invalid_argument, "out_token_ids: 5 elements given, at least 2 x 3",
               pack_padded(sequences(), Ints{0, 2}, 3, 0, std::span(ids).first(5), lengths));
  CHECK_THROWS(std::invalid_argument, "out_lengths: 1 elements given, at least 2",
               pack_padded(sequences(), Ints{0, 2}, 3, 0, ids, std::span(lengths).first(1)));
}

TEST(a_refused_batch_leaves_the_buffers_alone) {
  Ints ids(4, -7), lengths(2, -7);
  CHECK_THROWS(std::invalid_argument, "row 0: 3 tokens given, at most seq_len, 2",
               pack_padded(sequences(), Ints{1, 0}, 2, 0, ids, lengths));
  CHECK_THROWS(std::invalid_argument, "seq_len: 0 given",
               pack_padded(sequences(), Ints{1}, 0, 0, ids, lengths));
  CHECK(ids == Ints(4, -7) && lengths == Ints(2, -7));
}

}  // namespace
}  // namespace twopass
