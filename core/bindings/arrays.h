#ifndef TWOPASS_BINDINGS_ARRAYS_H_
#define TWOPASS_BINDINGS_ARRAYS_H_

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace twopass {

namespace nb = nanobind;

// Bind these with noconvert(): otherwise nanobind copies an array of another dtype or layout, and
// what is written to the copy is lost.
template <typename T>
using InputArray = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <typename T>
using InOutArray = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

using Int32s = InputArray<std::int32_t>;

template <typename T>
using NumpyArray = nb::ndarray<nb::numpy, T, nb::ndim<1>, nb::c_contig>;

template <typename T>
std::span<T> as_span(const nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>& array) {
  return {array.data(), array.size()};
}

// Moves the elements into a numpy array that owns them. Stored differs from T for bool alone, since
// std::vector<bool> holds bits.
template <typename T, typename Stored>
NumpyArray<T> to_numpy(std::vector<Stored>&& elements) {
  static_assert(sizeof(T) == sizeof(Stored));
  auto owned = std::make_unique<std::vector<Stored>>(std::move(elements));
  const nb::capsule owner(owned.get(), [](void* pointer) noexcept {
    delete static_cast<std::vector<Stored>*>(pointer);
  });
  std::vector<Stored>* kept = owned.release();
  return NumpyArray<T>(kept->data(), {kept->size()}, owner);
}

// What compute returns, computed without the GIL; it must not touch a Python object.
template <typename Compute>
auto without_gil(Compute compute) {
  const nb::gil_scoped_release release;
  return compute();
}

// Elements whose copying or hashing takes some 20 to 100 us. For fewer, giving the GIL up takes
// longer than the work: where others want it, this thread has to wait for its next turn.
inline constexpr std::size_t kManyElements = 32'768;

// What compute returns, computed without the GIL where that is worth it.
template <typename Compute>
auto without_gil_if(bool is_long, Compute compute) {
  return is_long ? without_gil(compute) : compute();
}

}  // namespace twopass

#endif  // TWOPASS_BINDINGS_ARRAYS_H_
