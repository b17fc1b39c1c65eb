#ifndef TWOPASS_TESTS_SAFETENSORS_FILE_H_
#define TWOPASS_TESTS_SAFETENSORS_FILE_H_

#include <unistd.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace twopass::test {

using Bytes = std::vector<std::byte>;

// A safetensors file with a header of one's choice, its length before it.
inline Bytes safetensors_of(std::string_view header, const Bytes& tensors) {
  Bytes file;
  for (unsigned shift = 0; shift < 64; shift += 8) {
    file.push_back(static_cast<std::byte>(header.size() >> shift));
  }
  for (const char character : header) {
    file.push_back(static_cast<std::byte>(character));
  }
  file.insert(file.end(), tensors.begin(), tensors.end());
  return file;
}

// Tensors' bytes, and the entries of a header that finds them.
class TensorWriter {
 public:
  template <typename Element>
  void add(const std::string& name, const std::string& type, const std::string& shape,
           const std::vector<Element>& elements) {
    const std::size_t begin = tensors_.size();
    tensors_.resize(begin + elements.size() * sizeof(Element));
    if (!elements.empty()) {
      std::memcpy(tensors_.data() + begin, elements.data(), tensors_.size() - begin);
    }
    header_ += (header_.empty() ? "{\"" : ",\"") + name + "\":{\"dtype\":\"" + type +
               "\",\"shape\":[" + shape + "],\"data_offsets\":[" + std::to_string(begin) + "," +
               std::to_string(tensors_.size()) + "]}";
  }

  Bytes file() const { return safetensors_of(header_.empty() ? "{}" : header_ + "}", tensors_); }

 private:
  std::string header_;
  Bytes tensors_;
};

// A file of these bytes that is gone at the end of its scope.
class TemporaryFile {
 public:
  explicit TemporaryFile(const Bytes& bytes) {
    static int number = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("twopass-" + std::to_string(getpid()) + "-" + std::to_string(++number));
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { std::filesystem::remove(path_); }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace twopass::test

#endif  // TWOPASS_TESTS_SAFETENSORS_FILE_H_
