#ifndef TWOPASS_TESTS_ZEROS_H_
#define TWOPASS_TESTS_ZEROS_H_

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <span>

namespace twopass::test {

// Any number of zeros to read, of gigabytes too: a page that is not read takes no memory.
template <typename T>
class Zeros {
 public:
  explicit Zeros(std::size_t size) : size_(size) {
    begin_ = mmap(nullptr, size * sizeof(T), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                  -1, 0);
    if (begin_ == MAP_FAILED) {
      throw std::bad_alloc();
    }
  }
  ~Zeros() { munmap(begin_, size_ * sizeof(T)); }
  Zeros(const Zeros&) = delete;
  Zeros& operator=(const Zeros&) = delete;

  operator std::span<const T>() const { return {static_cast<const T*>(begin_), size_}; }

 private:
  std::size_t size_;
  void* begin_;
};

}  // namespace twopass::test

#endif  // TWOPASS_TESTS_ZEROS_H_
