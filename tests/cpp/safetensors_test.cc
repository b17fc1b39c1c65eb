#include "encoder/safetensors.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "check.h"
#include "safetensors_file.h"
#include "twopass/errors.h"

namespace twopass {
namespace {

using test::Bytes;
using test::TemporaryFile;
using test::TensorWriter;

using Shape = std::vector<std::uint64_t>;
using Halves = std::vector<std::uint16_t>;

std::vector<float> read(const Bytes& bytes, std::string_view name, const Shape& shape) {
  const TemporaryFile file(bytes);
  return Safetensors(file.path()).read(name, shape);
}

TensorEntries header_of(std::string_view json, std::size_t num_tensor_bytes) {
  return read_safetensors_header(test::safetensors_of(json, Bytes(num_tensor_bytes)));
}

// An entry as the format writes it.
std::string entry(std::string_view name, std::string_view type, std::string_view shape,
                  std::string_view offsets) {
  std::string text;
  text.append("\"").append(name).append(R"(":{"dtype":")").append(type);
  text.append(R"(","shape":[)").append(shape).append(R"(],"data_offsets":[)");
  return text.append(offsets).append("]}");
}

// --- what is read --------------------------------------------------------------------------------

TEST(float32_is_read_as_it_is) {
  const std::vector<float> values{
      1.5F,    -0.0F, std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::max(),
      -1e-30F, 7.0F};
  TensorWriter writer;
  writer.add("a", "F32", "2,3", values);
  const std::vector<float> actual = read(writer.file(), "a", {2, 3});
  CHECK(actual.size() == 6 && std::memcmp(actual.data(), values.data(), 24) == 0);
}

TEST(float16_is_read_with_subnormal_numbers_and_infinities) {
  TensorWriter writer;
  writer.add("a", "F16", "12",
             Halves{0x0000, 0x8000, 0x3c00, 0xc000, 0x3555, 0x7bff, 0x0400, 0x03ff, 0x0001, 0x8001,
                    0x7c00, 0xfc00});
  const std::vector<float> actual = read(writer.file(), "a", {12});
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> expected{0.0F,        -0.0F,     1.0F,     -2.0F,
                                    0.33325195F, 65504.0F,  0x1p-14F, 1023 * 0x1p-24F,
                                    0x1p-24F,    -0x1p-24F, infinity, -infinity};
  CHECK(actual == expected);
  CHECK(std::signbit(actual[1]) && !std::signbit(actual[0]));
}

TEST(every_float16_is_the_float32_of_its_digits) {
  Halves halves(0x10000);
  for (std::size_t i = 0; i < halves.size(); ++i) {
    halves[i] = static_cast<std::uint16_t>(i);
  }
  TensorWriter writer;
  writer.add("a", "F16", "65536", halves);
  const std::vector<float> actual = read(writer.file(), "a", {65536});
  for (std::size_t i = 0; i < halves.size(); ++i) {
    const int exponent = static_cast<int>(i >> 10) & 0x1f, fraction = static_cast<int>(i) & 0x3ff;
    const float sign = i < 0x8000 ? 1.0F : -1.0F;
    if (exponent == 0x1f) {
      CHECK(fraction == 0 ? actual[i] == sign * std::numeric_limits<float>::infinity()
                          : std::isnan(actual[i]));
    } else {
      const float whole = static_cast<float>(exponent == 0 ? fraction : 1024 + fraction);
      CHECK(actual[i] == sign * std::ldexp(whole, std::max(exponent, 1) - 25));
    }
  }
}

TEST(bfloat16_is_the_upper_half_of_float32) {
  TensorWriter writer;
  writer.add("a", "BF16", "2,2", Halves{0x3f80, 0xc049, 0x0001, 0x7f80});
  const std::vector<float> actual = read(writer.file(), "a", {2, 2});
  CHECK(actual == std::vector<float>{1.0F, -3.140625F, std::bit_cast<float>(0x10000U),
                                     std::numeric_limits<float>::infinity()});
}

TEST(tensors_are_found_by_name_wherever_they_lie) {
  TensorWriter writer;
  writer.add("first", "F16", "1", Halves{0x3c00});
  writer.add("second", "F32", "", std::vector<float>{5.0F});  // unaligned, and of no dimension
  writer.add("empty", "F32", "0,7", std::vector<float>{});
  writer.add("ids", "I64", "1", std::vector<std::int64_t>{1});
  const TemporaryFile file(writer.file());
  const Safetensors tensors(file.path());
  CHECK(tensors.contains("first") && tensors.contains("ids") && !tensors.contains("third"));
  CHECK(tensors.read("first", Shape{1}) == std::vector<float>{1.0F});
  CHECK(tensors.read("second", Shape{}) == std::vector<float>{5.0F});
  CHECK(tensors.read("empty", Shape{0, 7}).empty());
}

TEST(metadata_and_unknown_members_of_entries_are_passed_over) {
  const TensorEntries entries =
      header_of(R"({"__metadata__":{"format":"pt","note":["é",{"x":1}]},)"
                R"("a":{"shape":[1],"extra":{"b":[2]},"data_offsets":[0,4],"dtype":"F32"}}   )",
                4);
  CHECK(entries.size() == 1 && entries.at("a").shape == Shape{1} && entries.at("a").end == 4);
}

TEST(a_file_of_no_tensors_is_sound) { CHECK(header_of("{}", 0).empty()); }

// --- what is asked for and not there -------------------------------------------------------------

TEST(a_tensor_that_is_not_as_asked_for_is_named_with_its_file) {
  TensorWriter writer;
  writer.add("a", "F32", "2,3", std::vector<float>(6));
  writer.add("ids", "I64", "1", std::vector<std::int64_t>{1});
  const TemporaryFile file(writer.file());
  const Safetensors tensors(file.path());
  const std::string where = file.path().string() + ": tensor ";
  CHECK_THROWS(ModelError, where + "b is missing", tensors.read("b", Shape{1}));
  CHECK_THROWS(ModelError, where + "a has the shape [2, 3]", tensors.read("a", Shape{3, 2}));
  CHECK_THROWS(ModelError, where + "a has the shape [2, 3]", tensors.read("a", Shape{6}));
  CHECK_THROWS(ModelError, where + "ids is not float32", tensors.read("ids", Shape{1}));
}

TEST(a_file_that_cannot_be_read_is_named) {
  CHECK_THROWS(ModelError, "/nowhere/model.safetensors: cannot be read",
               Safetensors("/nowhere/model.safetensors"));
  const std::filesystem::path folder = std::filesystem::temp_directory_path();
  CHECK_THROWS(ModelError, folder.string() + ": cannot be read", Safetensors(folder));
}

// --- damage --------------------------------------------------------------------------------------

TEST(a_file_cut_anywhere_is_refused_by_name) {
  TensorWriter writer;
  writer.add("a", "F32", "2", std::vector<float>{1.0F, 2.0F});
  writer.add("b", "BF16", "3", Halves{1, 2, 3});
  const Bytes whole = writer.file();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const TemporaryFile file(
        Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    CHECK_THROWS(ModelError, file.path().string() + ": ", Safetensors(file.path()));
  }
  CHECK(read(whole, "b", {3}).size() == 3);
}

TEST(a_header_longer_than_its_file_or_any_header_is_refused) {
  const Bytes sound = test::safetensors_of("{}", {});
  for (std::size_t byte = 0; byte < 8; ++byte) {
    Bytes file = sound;
    file[byte] = std::byte{0xff};
    CHECK_THROWS(ModelError, "the header's length is", read_safetensors_header(file));
  }
}

TEST(offsets_beyond_the_end_are_refused) {
  CHECK_THROWS(ModelError, "tensor a: it ends at byte 8 of 7: the file is truncated",
               header_of("{" + entry("a", "F32", "2", "0,8") + "}", 7));
  CHECK_THROWS(
      ModelError, "tensor a: it ends at byte 18446744073709551612",
      header_of("{" + entry("a", "F32", "1", "18446744073709551608,18446744073709551612") + "}",
                8));
}

TEST(shapes_that_contradict_the_offsets_or_overflow_are_refused) {
  const auto refused = [](std::string_view type, std::string_view shape, std::string_view offsets) {
    return test::throws_with<ModelError>("tensor a: its data_offsets do not fit", [&] {
      header_of("{" + entry("a", type, shape, offsets) + "}", 64);
    });
  };
  CHECK(refused("F32", "2", "0,4"));
  CHECK(refused("F32", "", "0,8"));
  CHECK(refused("F16", "2", "0,8"));
  CHECK(refused("F32", "1", "8,4"));
  CHECK(refused("F32", "0", "4,8"));
  CHECK(refused("F32", "4294967296,4294967296", "0,0"));  // 2^64 elements
  CHECK(refused("F32", "4611686018427387905", "0,4"));    // 4 * (2^62 + 1) is 4 modulo 2^64
  CHECK(refused("F64", "18446744073709551615,2", "0,16"));
  // Zero elements are zero bytes whatever the other sizes are, if these can be multiplied at all.
  CHECK(header_of("{" + entry("a", "F32", "0,4611686018427387904", "0,0") + "}", 0).size() == 1);
}

TEST(tensors_that_overlap_are_refused) {
  const std::string second = entry("b", "F16", "2", "2,6");
  CHECK_THROWS(ModelError, "tensor b: it overlaps",
               header_of("{" + entry("a", "F32", "1", "0,4") + "," + second + "}", 8));
  CHECK_THROWS(ModelError, "it overlaps",
               header_of("{" + second + "," + entry("a", "F32", "2", "0,8") + "}", 8));
  CHECK(header_of("{" + second + "," + entry("a", "F16", "1", "0,2") + "}", 8).size() == 2);
  CHECK(header_of("{" + entry("a", "F32", "0", "2,2") + "," + second + "}", 8).size() == 2);
}

TEST(a_name_given_twice_is_refused) {
  CHECK_THROWS(
      ModelError, "tensor a: it is there twice",
      header_of("{" + entry("a", "F16", "1", "0,2") + "," + entry("a", "F16", "1", "2,4") + "}",
                4));
}

TEST(entries_of_other_types_and_forms_are_refused) {
  const auto reason = [](std::string_view json) {
    try {
      header_of(json, 16);
    } catch (const ModelError& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  const auto has = [&](std::string_view json, std::string_view part) {
    return reason(json).find(part) != std::string::npos;
  };
  CHECK(has(R"({"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}})",
            "tensor a: unknown element type F31"));
  CHECK(has(R"({"a":{"dtype":5,"shape":[1],"data_offsets":[0,4]}})", "tensor a: JSON: '\"'"));
  CHECK(has(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "an integer from 0"));
  CHECK(has(R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", "expected at byte"));
  CHECK(has(R"({"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})", "'[' expected"));
  CHECK(has(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})", "its entry lacks"));
  CHECK(has(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4]}})", "its entry lacks"));
  CHECK(has(R"({"a":{"dtype":"F32","shape":[1]}})", "its entry lacks"));
  CHECK(has(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", "its entry lacks"));
  CHECK(has(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", "its entry lacks"));
  CHECK(has(R"({"a":[]})", "tensor a: JSON: '{' expected"));
  CHECK(has(R"([])", "'{' expected"));
  CHECK(has(R"({} {})", "end expected"));
  CHECK(has("", "'{' expected"));
}

TEST(nesting_bombs_are_refused) {
  CHECK_THROWS(ModelError, "an end to nesting",
               header_of(R"({"__metadata__":)" + std::string(1'000'000, '['), 0));
  CHECK_THROWS(ModelError, "an end to nesting",
               header_of(R"({"a":{"x":)" + std::string(1'000'000, '['), 0));
}

// Messages become Python strings, which are UTF-8.
TEST(a_name_of_any_bytes_is_printable_in_a_message) {
  CHECK_THROWS(ModelError, "tensor a?\?b?: its entry lacks",
               header_of("{\"a\xff\xfe"
                         "b\\n\":{}}",
                         0));
  CHECK_THROWS(ModelError, "unknown element type F?",
               header_of("{\"a\":{\"dtype\":\"F\xff\"}}", 0));
  const std::string long_name(100'000, 'a');
  try {
    header_of("{\"" + long_name + "\":{}}", 0);
  } catch (const ModelError& error) {
    CHECK(std::strlen(error.what()) < 300);
  }
}

}  // namespace
}  // namespace twopass
