#ifndef TWOPASS_SRC_CPU_ALIGNED_H_
#define TWOPASS_SRC_CPU_ALIGNED_H_

#include <cstddef>
#include <new>
#include <span>
#include <utility>

namespace twopass {

// An array that starts at a cache line, zeroed, of a size that is fixed at construction.
template <typename T>
class AlignedArray {
 public:
  AlignedArray() = default;
  explicit AlignedArray(std::size_t size)
      : elements_(static_cast<T*>(::operator new(size * sizeof(T), kAlignment))), size_(size) {
    for (std::size_t i = 0; i < size; ++i) {
      ::new (elements_ + i) T();
    }
  }
  AlignedArray(AlignedArray&& other) noexcept
      : elements_(std::exchange(other.elements_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedArray& operator=(AlignedArray&& other) noexcept {
    std::swap(elements_, other.elements_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~AlignedArray() { ::operator delete(elements_, kAlignment); }

  T* data() { return elements_; }
  const T* data() const { return elements_; }
  std::size_t size() const { return size_; }
  std::size_t num_bytes() const { return size_ * sizeof(T); }
  T& operator[](std::size_t i) { return elements_[i]; }
  const T& operator[](std::size_t i) const { return elements_[i]; }
  std::span<T> span() { return {elements_, size_}; }
  std::span<const T> span() const { return {elements_, size_}; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  T* elements_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_ALIGNED_H_
