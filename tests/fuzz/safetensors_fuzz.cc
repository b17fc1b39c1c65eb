#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "demand.h"
#include "encoder/safetensors.h"
#include "twopass/errors.h"

// The header of a safetensors file is read or refused; what is read lies within the file.

namespace twopass {
namespace {

constexpr std::size_t kLengthBytes = 8;

std::size_t room_for_tensors(std::span<const std::byte> file) {
  std::uint64_t header = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    header |= std::to_integer<std::uint64_t>(file[i]) << (8 * i);
  }
  return file.size() - kLengthBytes - header;
}

void check_entry(const TensorEntry& entry, std::size_t room) {
  DEMAND(entry.begin <= entry.end && entry.end <= room);
  const std::uint64_t num_bytes = entry.end - entry.begin;
  std::uint64_t num_elements = 1;
  for (const std::uint64_t size : entry.shape) {
    DEMAND(!__builtin_mul_overflow(num_elements, size, &num_elements));
  }
  DEMAND(num_elements <= num_bytes);
  DEMAND(entry.type != ElementType::kF32 || num_bytes == num_elements * 4);
  DEMAND(entry.type != ElementType::kF16 || num_bytes == num_elements * 2);
  DEMAND(entry.type != ElementType::kBf16 || num_bytes == num_elements * 2);
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

void check_file(std::span<const std::byte> file) {
  try {
    for (const auto& [name, entry] : read_safetensors_header(file)) {
      check_entry(entry, room_for_tensors(file));
    }
  } catch (const ModelError& error) {
    DEMAND(is_printable(error.what()));
  }
}

// The same bytes with a length that takes them all, up to the last brace, for the header: a change
// within the header alone seldom leaves it as long as it was.
std::vector<std::byte> with_fitting_length(std::span<const std::byte> file) {
  std::vector<std::byte> fitting(file.begin(), file.end());
  const auto last_brace = std::find(fitting.rbegin(), fitting.rend(), std::byte{'}'});
  const auto end = static_cast<std::size_t>(fitting.rend() - last_brace);
  const std::size_t length = std::max(end, kLengthBytes) - kLengthBytes;
  for (std::size_t i = 0; i < std::min(kLengthBytes, fitting.size()); ++i) {
    fitting[i] = static_cast<std::byte>(length >> (8 * i));
  }
  return fitting;
}

}  // namespace
}  // namespace twopass

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(bytes), size);
  twopass::check_file(file);
  twopass::check_file(twopass::with_fitting_length(file));
  return 0;
}
