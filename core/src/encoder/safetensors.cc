#include "encoder/safetensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

#include "encoder/json.h"
#include "twopass/errors.h"

namespace twopass {
namespace {

constexpr std::size_t kLengthBytes = 8;
// What the format's own implementation accepts; a header this long has some 10^6 tensors.
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

struct NamedType {
  std::string_view name;
  ElementType type;
  std::uint64_t num_bytes;
};

constexpr NamedType kTypes[] = {{"F32", ElementType::kF32, 4},   {"F16", ElementType::kF16, 2},
                                {"BF16", ElementType::kBf16, 2}, {"F64", ElementType::kOther, 8},
                                {"I64", ElementType::kOther, 8}, {"I32", ElementType::kOther, 4},
                                {"I16", ElementType::kOther, 2}, {"I8", ElementType::kOther, 1},
                                {"U64", ElementType::kOther, 8}, {"U32", ElementType::kOther, 4},
                                {"U16", ElementType::kOther, 2}, {"U8", ElementType::kOther, 1},
                                {"BOOL", ElementType::kOther, 1}};

// What a file says of itself, fit for a message: messages become Python strings, and must be UTF-8.
std::string printable(std::string_view text) {
  constexpr std::size_t kMaxLength = 120;
  std::string shown(text.substr(0, kMaxLength));
  std::replace_if(shown.begin(), shown.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text.size() > kMaxLength ? shown + "..." : shown;
}

const NamedType& type_named(std::string_view name) {
  for (const NamedType& type : kTypes) {
    if (type.name == name) {
      return type;
    }
  }
  throw ModelError("unknown element type " + printable(name));
}

// Product, or nothing where it exceeds 64 bits.
std::optional<std::uint64_t> product_of(std::span<const std::uint64_t> factors,
                                        std::uint64_t product) {
  for (const std::uint64_t factor : factors) {
    if (__builtin_mul_overflow(product, factor, &product)) {
      return std::nullopt;
    }
  }
  return product;
}

TensorEntry read_entry(JsonReader& json) {
  const NamedType* type = nullptr;
  bool has_shape = false;
  std::vector<std::uint64_t> offsets;
  TensorEntry entry{};
  json.read_object([&](const std::string& member) {
    if (member == "dtype") {
      type = &type_named(json.read_string());
    } else if (member == "shape") {
      has_shape = true;
      json.read_array([&] { entry.shape.push_back(json.read_unsigned()); });
    } else if (member == "data_offsets") {
      json.read_array([&] { offsets.push_back(json.read_unsigned()); });
    } else {
      json.skip_value();
    }
  });
  if (type == nullptr || !has_shape || offsets.size() != 2) {
    throw ModelError("its entry lacks a dtype, a shape or two data_offsets");
  }
  entry.type = type->type;
  entry.begin = offsets[0];
  entry.end = offsets[1];
  if (entry.begin > entry.end ||
      product_of(entry.shape, type->num_bytes) != entry.end - entry.begin) {
    throw ModelError("its data_offsets do not fit its dtype and shape");
  }
  return entry;
}

// Two tensors in one place are no export of any model.
void check_apart(const TensorEntries& entries) {
  using Named = TensorEntries::value_type;
  std::vector<const Named*> by_place;
  for (const Named& entry : entries) {
    by_place.push_back(&entry);
  }
  const auto place = [](const Named* entry) {
    return std::pair(entry->second.begin, entry->second.end);
  };
  std::sort(by_place.begin(), by_place.end(),
            [&](const Named* a, const Named* b) { return place(a) < place(b); });
  for (std::size_t i = 1; i < by_place.size(); ++i) {
    if (by_place[i]->second.begin < by_place[i - 1]->second.end) {
      throw ModelError("tensor " + printable(by_place[i]->first) + ": it overlaps tensor " +
                       printable(by_place[i - 1]->first));
    }
  }
}

float from_f16(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1fU;
  const std::uint32_t fraction = half & 0x3ffU;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t biased = exponent == 0x1f ? 0xffU : exponent + 127 - 15;
  return std::bit_cast<float>(sign | (biased << 23) | (fraction << 13));
}

float from_bf16(std::uint16_t half) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
}

template <typename Convert>
std::vector<float> convert_halves(std::span<const std::byte> bytes, Convert convert) {
  std::vector<float> elements(bytes.size() / 2);
  for (std::size_t i = 0; i < elements.size(); ++i) {
    std::uint16_t half;
    std::memcpy(&half, bytes.data() + 2 * i, sizeof half);
    elements[i] = convert(half);
  }
  return elements;
}

std::vector<std::byte> read_file(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) {
    throw ModelError(path.string() + ": cannot be read");
  }
  std::vector<std::byte> bytes(size);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (static_cast<std::uintmax_t>(file.gcount()) != size) {
    throw ModelError(path.string() + ": ended after " + std::to_string(file.gcount()) + " of " +
                     std::to_string(size) + " bytes");
  }
  return bytes;
}

std::uint64_t header_bytes(std::span<const std::byte> file) {
  if (file.size() < kLengthBytes) {
    throw ModelError("no safetensors file: shorter than eight bytes");
  }
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i > 0; --i) {
    length = length << 8 | std::to_integer<std::uint64_t>(file[i - 1]);
  }
  if (length > kMaxHeaderBytes || length > file.size() - kLengthBytes) {
    throw ModelError("no safetensors file, or a truncated one: the header's length is " +
                     std::to_string(length) + " bytes, the file's " + std::to_string(file.size()));
  }
  return length;
}

}  // namespace

TensorEntries read_safetensors_header(std::span<const std::byte> file) {
  const std::uint64_t length = header_bytes(file);
  const std::uint64_t room = file.size() - kLengthBytes - length;
  JsonReader json({reinterpret_cast<const char*>(file.data()) + kLengthBytes, length});
  TensorEntries entries;
  json.read_object([&](const std::string& name) {
    if (name == "__metadata__") {
      json.skip_value();
      return;
    }
    try {
      TensorEntry entry = read_entry(json);
      if (entry.end > room) {
        throw ModelError("it ends at byte " + std::to_string(entry.end) + " of " +
                         std::to_string(room) + ": the file is truncated");
      }
      if (!entries.emplace(name, std::move(entry)).second) {
        throw ModelError("it is there twice");
      }
    } catch (const ModelError& error) {
      throw ModelError("tensor " + printable(name) + ": " + error.what());
    }
  });
  json.expect_end();
  check_apart(entries);
  return entries;
}

Safetensors::Safetensors(const std::filesystem::path& path) : path_(path), bytes_(read_file(path)) {
  try {
    entries_ = read_safetensors_header(bytes_);
    tensors_ = std::span<const std::byte>(bytes_).subspan(kLengthBytes + header_bytes(bytes_));
  } catch (const ModelError& error) {
    throw ModelError(path_.string() + ": " + error.what());
  }
}

std::vector<float> Safetensors::read(std::string_view name,
                                     std::span<const std::uint64_t> shape) const {
  const std::string where = path_.string() + ": tensor " + std::string(name);
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    throw ModelError(where + " is missing");
  }
  const TensorEntry& entry = found->second;
  if (!std::equal(entry.shape.begin(), entry.shape.end(), shape.begin(), shape.end())) {
    std::string sizes;
    for (const std::uint64_t size : entry.shape) {
      sizes += (sizes.empty() ? "" : ", ") + std::to_string(size);
    }
    throw ModelError(where + " has the shape [" + sizes + "], which config.json contradicts");
  }
  const std::span<const std::byte> bytes = tensors_.subspan(entry.begin, entry.end - entry.begin);
  switch (entry.type) {
    case ElementType::kF16:
      return convert_halves(bytes, from_f16);
    case ElementType::kBf16:
      return convert_halves(bytes, from_bf16);
    case ElementType::kF32: {
      std::vector<float> elements(bytes.size() / sizeof(float));
      if (!elements.empty()) {  // memcpy takes no null pointer, whatever the size
        std::memcpy(elements.data(), bytes.data(), bytes.size());
      }
      return elements;
    }
    default:
      throw ModelError(where + " is not float32, float16 or bfloat16");
  }
}

}  // namespace twopass
