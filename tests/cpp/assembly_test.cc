#include "twopass/assembly.h"

#include <stdexcept>

#include "check.h"

namespace twopass {
namespace {

using Ints = std::vector<std::int32_t>;
using Flags = std::vector<std::uint8_t>;

const Ints kCls{101};
const Ints kSep{102};
const Ints kTwoSeps{2, 2};
const PairTemplate kBert{kCls, kSep, kSep};

TEST(a_pair_is_query_then_passage_between_special_tokens) {
  const Ints passage_ids{7, 8, 9};
  const Assembly pairs = assemble_pairs(Ints{5, 6}, {passage_ids, Ints{0, 1, 3}}, kBert, 16);
  CHECK(pairs.batch.token_ids == Ints{101, 5, 6, 102, 7, 102, 101, 5, 6, 102, 8, 9, 102});
  CHECK(pairs.batch.offsets == Ints{0, 6, 13});
  CHECK(pairs.batch.query_lengths == Ints{4, 4});
  CHECK(pairs.truncated == Flags{0, 0});
}

TEST(only_the_first_separator_token_is_of_the_query) {
  const Ints passage_ids{7};
  const Ints offsets{0, 1};
  const RaggedView passages(passage_ids, offsets);
  const auto query_lengths = [&](const Ints& separator) {
    return assemble_pairs(Ints{5}, passages, {kCls, separator, kSep}, 16).batch.query_lengths;
  };
  CHECK(query_lengths({}) == Ints{2});
  CHECK(query_lengths(kSep) == Ints{3});
  CHECK(query_lengths(kTwoSeps) == Ints{3});
}

TEST(a_passage_is_cut_to_fit_and_marked) {
  const Ints passage_ids{7, 8, 7, 8, 9};
  const Ints offsets{0, 2, 5};
  const Assembly pairs = assemble_pairs(Ints{5}, {passage_ids, offsets}, kBert, 6);
  CHECK(pairs.batch.token_ids == Ints{101, 5, 102, 7, 8, 102, 101, 5, 102, 7, 8, 102});
  CHECK(pairs.truncated == Flags{0, 1});
}

TEST(a_query_that_leaves_no_passage_token_is_refused) {
  const Ints query{5, 5, 5};
  const Ints passage_ids{7};
  const Ints offsets{0, 0, 1};
  const RaggedView passages(passage_ids, offsets);
  CHECK(assemble_pairs(query, passages, kBert, 7).truncated == Flags{0, 0});
  CHECK_THROWS(std::invalid_argument, "max_seq_len: 6 given, at least 7 for row 1 and the 6 tokens",
               assemble_pairs(query, passages, kBert, 6));
}

TEST(an_empty_passage_needs_room_for_its_query_alone) {
  const Ints offsets{0, 0};
  const RaggedView passages({}, offsets);
  CHECK(assemble_pairs(Ints{5}, passages, kBert, 4).batch.offsets == Ints{0, 4});
  CHECK_THROWS(std::invalid_argument, "max_seq_len: 3 given, at least 4",
               assemble_pairs(Ints{5}, passages, kBert, 3));
}

TEST(no_passages_make_no_pairs) {
  const Assembly pairs = assemble_pairs(Ints{5}, {{}, Ints{0}}, kBert, 1);
  CHECK(pairs.batch.token_ids.empty() && pairs.batch.query_lengths.empty());
  CHECK(pairs.batch.offsets == Ints{0});
}

TEST(a_single_text_is_all_of_the_first_token_type) {
  const Ints token_ids{7, 8, 9};
  const Ints offsets{0, 1, 1, 3};
  const Assembly singles = assemble_singles({token_ids, offsets}, kCls, kSep, 3);
  CHECK(singles.batch.token_ids == Ints{101, 7, 102, 101, 102, 101, 8, 102});
  CHECK(singles.batch.query_lengths == Ints{3, 2, 3});
  CHECK(singles.truncated == Flags{0, 0, 1});
}

TEST(more_tokens_than_int32_counts_are_refused) {
  const Ints query(70'000, 5);
  const Ints offsets(40'001, 0);  // 40,000 empty passages: 2.8e9 tokens
  CHECK_THROWS(std::invalid_argument, "at most 2147483647",
               assemble_pairs(query, {{}, offsets}, kBert, 80'000));
}

TEST(unsound_offsets_are_refused) {
  const Ints ids{7, 8};
  CHECK_THROWS(std::invalid_argument, "offsets: none given", RaggedView(ids, {}));
  CHECK_THROWS(std::invalid_argument, "offsets[0]: 1 given", RaggedView(ids, Ints{1, 2}));
  CHECK_THROWS(std::invalid_argument, "offsets[2]: 1 given, at least 2",
               RaggedView(ids, Ints{0, 2, 1}));
  CHECK_THROWS(std::invalid_argument, "offsets[1]: 3 given, but there are 2",
               RaggedView(ids, Ints{0, 3}));
  CHECK_THROWS(std::invalid_argument, "offsets[1]: -1 given", RaggedView(ids, Ints{0, -1}));
}

}  // namespace
}  // namespace twopass
