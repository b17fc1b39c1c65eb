#include "encoder/read_tensor.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "check.h"
#include "owned_tensors.h"
#include "samples.h"
#include "twopass/errors.h"

namespace twopass {
namespace {

using test::OwnedTensors;
using test::Shape;

using Halves = std::vector<std::uint16_t>;

// What is read of a tensor that is there alone.
template <typename Element>
std::vector<float> read(const std::string& dtype, const Shape& shape,
                        const std::vector<Element>& elements) {
  OwnedTensors tensors;
  tensors.add("a", dtype, shape, elements);
  return read_tensor(tensors.stored(), "a", shape);
}

// --- what is read --------------------------------------------------------------------------------

TEST(float32_is_read_as_it_is) {
  const std::vector<float> values{
      1.5F,    -0.0F, std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::max(),
      -1e-30F, 7.0F};
  CHECK(test::same_bits(read("F32", {2, 3}, values), values));
}

TEST(every_finite_float16_is_the_float32_of_its_digits) {
  Halves halves;
  std::vector<float> expected;
  for (int bits = 0; bits < 0x10000; ++bits) {
    const int exponent = (bits >> 10) & 0x1f;
    const int fraction = bits & 0x3ff;
    if (exponent == 0x1f) {
      continue;  // infinity, or no number
    }
    const float whole = static_cast<float>(exponent == 0 ? fraction : 1024 + fraction);
    halves.push_back(static_cast<std::uint16_t>(bits));
    expected.push_back((bits < 0x8000 ? 1.0F : -1.0F) *
                       std::ldexp(whole, std::max(exponent, 1) - 25));
  }
  CHECK(test::same_bits(read("F16", {halves.size()}, halves), expected));
}

TEST(bfloat16_is_the_upper_half_of_float32) {
  const std::vector<float> expected{1.0F, -3.140625F, std::bit_cast<float>(0x10000U), -0.0F};
  CHECK(test::same_bits(read("BF16", {2, 2}, Halves{0x3f80, 0xc049, 0x0001, 0x8000}), expected));
}

TEST(tensors_of_one_element_or_none_are_read) {
  CHECK(read("F32", {}, std::vector<float>{5.0F}) == std::vector<float>{5.0F});
  CHECK(read("F32", {0, 7}, std::vector<float>{}).empty());
}

// --- what is refused -----------------------------------------------------------------------------

TEST(a_tensor_that_is_not_as_asked_for_is_named) {
  OwnedTensors tensors;
  tensors.add("a", "F32", {2, 3}, std::vector<float>(6));
  tensors.add("ids", "I64", {1}, std::vector<std::int64_t>{1});
  const auto read = [&](const char* name, const Shape& shape) {
    return read_tensor(tensors.stored(), name, shape);
  };
  CHECK_THROWS(ModelError, "tensor b is missing", read("b", {1}));
  CHECK_THROWS(ModelError,
               "tensor a has the shape [2, 3], which config.json contradicts: it needs [3, 2]",
               read("a", {3, 2}));
  CHECK_THROWS(ModelError, "tensor a has the shape [2, 3]", read("a", {6}));
  CHECK_THROWS(ModelError, "tensor ids is I64, not float32, float16 or bfloat16", read("ids", {1}));
}

TEST(a_tensor_with_fewer_or_more_bytes_than_it_needs_is_refused) {
  CHECK_THROWS(ModelError, "tensor a holds 8 bytes, its shape and dtype need 12",
               read("F32", {3}, std::vector<float>(2)));
  CHECK_THROWS(ModelError, "tensor a holds 8 bytes, its shape and dtype need 6",
               read("BF16", {3}, Halves(4)));
  CHECK_THROWS(ModelError, "tensor a holds 0 bytes", read("F16", {1}, Halves{}));
}

TEST(numbers_that_are_not_finite_are_refused) {
  for (const float damage : {NAN, INFINITY, -INFINITY}) {
    CHECK_THROWS(ModelError, "tensor a holds a number that is not finite",
                 read("F32", {3}, std::vector<float>{1.0F, damage, 2.0F}));
  }
  for (const std::uint16_t damage : {0x7c00, 0xfc00, 0x7e00}) {
    CHECK_THROWS(ModelError, "not finite", read("F16", {1}, Halves{damage}));
  }
  CHECK_THROWS(ModelError, "not finite", read("BF16", {1}, Halves{0x7f80}));
}

}  // namespace
}  // namespace twopass
