#include "twopass/splicing.h"

#include <limits>
#include <stdexcept>

#include "check.h"
#include "samples.h"
#include "zeros.h"

namespace twopass {
namespace {

using Ints = std::vector<std::int32_t>;
using Rows = std::vector<Ints>;

constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();
constexpr std::int32_t kLeast = std::numeric_limits<std::int32_t>::min();

struct Part {
  std::int32_t into;
  std::int32_t position;
  Ints token_ids;
};
using Parts = std::vector<Part>;

OwnedRows owned(const Rows& rows) {
  OwnedRows all{{}, {0}};
  for (const Ints& row : rows) {
    all.token_ids.insert(all.token_ids.end(), row.begin(), row.end());
    all.offsets.push_back(static_cast<std::int32_t>(all.token_ids.size()));
  }
  return all;
}

RaggedView view(const OwnedRows& rows) { return {rows.token_ids, rows.offsets}; }

Rows spliced(const Rows& rows, const Parts& parts, std::int32_t max_tokens = kMost) {
  Ints into, positions;
  Rows token_ids;
  for (const Part& part : parts) {
    into.push_back(part.into);
    positions.push_back(part.position);
    token_ids.push_back(part.token_ids);
  }
  const OwnedRows all =
      splice(view(owned(rows)), into, positions, view(owned(token_ids)), max_tokens);
  const RaggedView checked = view(all);  // throws unless sound
  Rows apart;
  for (std::size_t row = 0; row < checked.num_rows(); ++row) {
    apart.emplace_back(checked[row].begin(), checked[row].end());
  }
  return apart;
}

// From the last part to the first, so that no position moves before it is used.
Rows spliced_plainly(Rows rows, const Parts& parts, std::int32_t max_tokens) {
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    Ints& row = rows[part->into];
    row.insert(row.begin() + part->position, part->token_ids.begin(), part->token_ids.end());
  }
  for (Ints& row : rows) {
    if (std::ssize(row) > max_tokens) {
      row.resize(max_tokens);
    }
  }
  return rows;
}

TEST(without_parts_rows_stay_as_they_are) {
  CHECK(spliced({}, {}).empty());
  CHECK(spliced({{}}, {}) == Rows{{}});
  CHECK(spliced({{1, 2}, {}, {3}}, {}) == Rows{{1, 2}, {}, {3}});
}

TEST(a_part_stands_before_the_token_it_names_or_at_the_end) {
  CHECK(spliced({{1, 2}}, {{0, 0, {8, 9}}}) == Rows{{8, 9, 1, 2}});
  CHECK(spliced({{1, 2}}, {{0, 1, {8, 9}}}) == Rows{{1, 8, 9, 2}});
  CHECK(spliced({{1, 2}}, {{0, 2, {8, 9}}}) == Rows{{1, 2, 8, 9}});
  CHECK(spliced({{}}, {{0, 0, {8, 9}}}) == Rows{{8, 9}});
}

TEST(parts_of_one_position_stand_in_their_order) {
  CHECK(spliced({{1, 2}}, {{0, 1, {7}}, {0, 1, {8, 9}}, {0, 2, {5}}, {0, 2, {6}}}) ==
        Rows{{1, 7, 8, 9, 2, 5, 6}});
  CHECK(spliced({{}}, {{0, 0, {9}}, {0, 0, {8}}}) == Rows{{9, 8}});
}

TEST(parts_go_into_their_own_rows_alone) {
  const Rows rows{{1}, {}, {2, 3}, {4}};
  CHECK(spliced(rows, {{0, 1, {9}}, {2, 0, {8}}}) == Rows{{1, 9}, {}, {8, 2, 3}, {4}});
  CHECK(spliced(rows, {{1, 0, {9}}, {3, 1, {8}}}) == Rows{{1}, {9}, {2, 3}, {4, 8}});
}

TEST(an_empty_part_adds_nothing) {
  CHECK(spliced({{}}, {{0, 0, {}}}) == Rows{{}});
  CHECK(spliced({{1, 2}, {3}}, {{0, 0, {}}, {0, 1, {}}, {0, 1, {9}}, {0, 2, {}}, {1, 1, {}}}) ==
        Rows{{1, 9, 2}, {3}});
}

TEST(rows_are_cut_once_their_parts_are_in_them) {
  const Rows rows{{1, 2, 3}, {4}};
  const Parts parts{{0, 1, {7, 8}}, {0, 2, {9}}, {1, 1, {6}}};
  CHECK(spliced(rows, parts, 0) == Rows{{}, {}});
  CHECK(spliced(rows, parts, 1) == Rows{{1}, {4}});
  CHECK(spliced(rows, parts, 2) == Rows{{1, 7}, {4, 6}});
  CHECK(spliced(rows, parts, 3) == Rows{{1, 7, 8}, {4, 6}});
  CHECK(spliced(rows, parts, 4) == Rows{{1, 7, 8, 2}, {4, 6}});
  CHECK(spliced(rows, parts, 5) == Rows{{1, 7, 8, 2, 9}, {4, 6}});
  CHECK(spliced(rows, parts, 6) == Rows{{1, 7, 8, 2, 9, 3}, {4, 6}});
  CHECK(spliced({{1, 2}}, {}, 1) == Rows{{1}});
}

TEST(many_rows_are_those_of_plain_insertion) {
  test::Samples samples(1);
  const auto ids = [&samples](int most) {
    Ints row(samples.integer(0, most));
    for (std::int32_t& id : row) {
      id = samples.integer(0, 99);
    }
    return row;
  };
  for (int round = 0; round < 200; ++round) {
    Rows rows(samples.integer(0, 60));
    Parts parts;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      rows[row] = ids(12);
      for (std::int32_t position = 0; position <= std::ssize(rows[row]); ++position) {
        for (int more = samples.integer(-6, 2); more > 0; --more) {
          parts.push_back({static_cast<std::int32_t>(row), position, ids(4)});
        }
      }
    }
    const std::int32_t max_tokens = samples.integer(0, 24);
    CHECK(spliced(rows, parts, max_tokens) == spliced_plainly(rows, parts, max_tokens));
  }
}

TEST(a_part_of_no_row_is_refused) {
  const Rows rows{{1, 2}, {3}};
  CHECK_THROWS(std::invalid_argument, "into[0]: out of order, or no row",
               spliced(rows, {{2, 0, {9}}}));
  CHECK_THROWS(std::invalid_argument, "into[0]", spliced(rows, {{-1, 0, {9}}}));
  CHECK_THROWS(std::invalid_argument, "into[0]", spliced(rows, {{kLeast, 0, {9}}}));
  CHECK_THROWS(std::invalid_argument, "into[1]", spliced(rows, {{1, 0, {9}}, {kMost, 0, {9}}}));
  CHECK_THROWS(std::invalid_argument, "into[1]", spliced(rows, {{1, 0, {9}}, {0, 0, {9}}}));
  CHECK_THROWS(std::invalid_argument, "into[0]", spliced({}, {{0, 0, {}}}));
}

TEST(a_part_outside_its_row_or_out_of_order_is_refused) {
  const Rows rows{{1, 2}, {3}};
  CHECK_THROWS(std::invalid_argument, "positions[0]: 3 given, from 0 to 2",
               spliced(rows, {{0, 3, {9}}}));
  CHECK_THROWS(std::invalid_argument, "positions[1]: 2 given, from 0 to 1",
               spliced(rows, {{0, 2, {9}}, {1, 2, {9}}}));
  CHECK_THROWS(std::invalid_argument, "positions[0]: -1 given", spliced(rows, {{0, -1, {9}}}));
  CHECK_THROWS(std::invalid_argument, "positions[0]", spliced(rows, {{0, kLeast, {}}}));
  CHECK_THROWS(std::invalid_argument, "positions[0]", spliced(rows, {{0, kMost, {}}}));
  CHECK_THROWS(std::invalid_argument, "positions[1]: 0 given, from 1 to 2",
               spliced(rows, {{0, 1, {9}}, {0, 0, {9}}}));
  // Also where the row is cut before it.
  CHECK_THROWS(std::invalid_argument, "positions[0]: 3 given", spliced(rows, {{0, 3, {9}}}, 1));
}

TEST(arguments_that_do_not_go_together_are_refused) {
  const OwnedRows rows = owned({{1}}), parts = owned({{8}, {9}});
  const Ints zero{0}, zeros{0, 0};
  const auto tried = [&](const Ints& into, const Ints& positions, std::int32_t max_tokens) {
    return splice(view(rows), into, positions, view(parts), max_tokens);
  };
  CHECK(tried(zeros, zeros, 5).token_ids == Ints{8, 9, 1});
  CHECK_THROWS(std::invalid_argument, "parts: 2 given, but 1 rows and 2 positions",
               tried(zero, zeros, 5));
  CHECK_THROWS(std::invalid_argument, "parts: 2 given, but 2 rows and 1 positions",
               tried(zeros, zero, 5));
  CHECK_THROWS(std::invalid_argument, "parts: 2 given, but 0 rows and 0 positions",
               tried({}, {}, 5));
  CHECK_THROWS(std::invalid_argument, "max_tokens: -1 given", tried(zeros, zeros, -1));
}

TEST(more_tokens_than_int32_counts_are_refused) {
  constexpr std::int32_t kHalf = 1 << 30;
  const test::Zeros<std::int32_t> half(kHalf);
  const Ints two{0, kHalf, kHalf}, one{0, kHalf};
  const RaggedView rows(half, two), parts(half, one);
  CHECK_THROWS(std::invalid_argument, "row 1 would end at token 2147483648, at most 2147483647",
               splice(rows, Ints{1}, Ints{0}, parts, kMost));
  CHECK(splice(rows, Ints{1}, Ints{0}, parts, 3).token_ids == Ints(6, 0));
}

}  // namespace
}  // namespace twopass
