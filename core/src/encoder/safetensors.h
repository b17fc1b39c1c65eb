#ifndef TWOPASS_SRC_ENCODER_SAFETENSORS_H_
#define TWOPASS_SRC_ENCODER_SAFETENSORS_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace twopass {

enum class ElementType { kF32, kF16, kBf16, kOther };

// Where a tensor lies, checked against the file.
struct TensorEntry {
  ElementType type;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin;  // bytes, from the end of the header
  std::uint64_t end;
};

using TensorEntries = std::map<std::string, TensorEntry, std::less<>>;

// Reads the header of a safetensors file: eight bytes of length, little-endian, then JSON, then the
// tensors. (https://github.com/huggingface/safetensors, "Format".) What it returns is sound: every
// tensor lies within the file, apart from the others, and is as long as its type and shape say.
// Throws ModelError.
TensorEntries read_safetensors_header(std::span<const std::byte> file);

// A safetensors file in memory.
class Safetensors {
 public:
  // Throws ModelError for a file that can't be read or is damaged.
  explicit Safetensors(const std::filesystem::path& path);
  Safetensors(const Safetensors&) = delete;
  Safetensors& operator=(const Safetensors&) = delete;

  bool contains(std::string_view name) const { return entries_.contains(name); }

  // The elements of a tensor of this shape in float32, from float32, float16 or bfloat16. Throws
  // ModelError where there is none, or one of another shape or type.
  std::vector<float> read(std::string_view name, std::span<const std::uint64_t> shape) const;

 private:
  std::filesystem::path path_;
  std::vector<std::byte> bytes_;
  std::span<const std::byte> tensors_;  // what follows the header
  TensorEntries entries_;
};

}  // namespace twopass

#endif  // TWOPASS_SRC_ENCODER_SAFETENSORS_H_
