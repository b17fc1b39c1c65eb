#ifndef TWOPASS_TESTS_OWNED_TENSORS_H_
#define TWOPASS_TESTS_OWNED_TENSORS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "twopass/stored_tensors.h"

namespace twopass::test {

using Shape = std::vector<std::uint64_t>;

// Tensors with their bytes.
class OwnedTensors {
 public:
  // The bytes begin at an odd address, as they may in a mapped file.
  template <typename Element>
  void add(const std::string& name, const std::string& dtype, Shape shape,
           const std::vector<Element>& elements) {
    const std::size_t size = elements.size() * sizeof(Element);
    std::vector<std::byte>& bytes = bytes_.emplace_back(1 + size);
    if (size > 0) {  // memcpy takes no null pointer, whatever the size
      std::memcpy(bytes.data() + 1, elements.data(), size);
    }
    stored_[name] = {dtype, std::move(shape), std::span<const std::byte>(bytes).subspan(1)};
  }

  const StoredTensors& stored() const { return stored_; }

 private:
  std::list<std::vector<std::byte>> bytes_;
  StoredTensors stored_;
};

}  // namespace twopass::test

#endif  // TWOPASS_TESTS_OWNED_TENSORS_H_
