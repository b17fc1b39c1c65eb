#ifndef TWOPASS_SRC_CPU_ALIGNED_H_
#define TWOPASS_SRC_CPU_ALIGNED_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace twopass {

// An array of numbers that starts at a cache line, zeroed, of a size that is fixed at construction.
// The memory of a large one is the system's zero pages until it is written: room for the longest
// sequence costs nothing where sequences are short.
template <typename T>
class AlignedArray {
  static_assert(std::is_trivial_v<T>);

 public:
  AlignedArray() = default;
  explicit AlignedArray(std::size_t size) : size_(size) {
    memory_ = std::calloc(size * sizeof(T) + kAlignment, 1);
    if (memory_ == nullptr) {
      throw std::bad_alloc();
    }
    const auto address = reinterpret_cast<std::uintptr_t>(memory_);
    const std::size_t offset = (kAlignment - address % kAlignment) % kAlignment;
    elements_ = reinterpret_cast<T*>(static_cast<std::byte*>(memory_) + offset);
  }
  AlignedArray(AlignedArray&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)),
        elements_(std::exchange(other.elements_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  AlignedArray& operator=(AlignedArray&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(elements_, other.elements_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~AlignedArray() { std::free(memory_); }

  T* data() { return elements_; }
  const T* data() const { return elements_; }
  std::size_t size() const { return size_; }
  std::size_t num_bytes() const { return size_ * sizeof(T); }
  T& operator[](std::size_t i) { return elements_[i]; }
  const T& operator[](std::size_t i) const { return elements_[i]; }
  std::span<T> span() { return {elements_, size_}; }
  std::span<const T> span() const { return {elements_, size_}; }

 private:
  static constexpr std::size_t kAlignment = 64;
  void* memory_ = nullptr;
  T* elements_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_ALIGNED_H_
