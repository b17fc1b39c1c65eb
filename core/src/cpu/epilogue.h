#ifndef TWOPASS_SRC_CPU_EPILOGUE_H_
#define TWOPASS_SRC_CPU_EPILOGUE_H_

#include <cstddef>

#include "cpu/kernels.h"

namespace twopass {
namespace {  // each translation unit compiles this for its own instruction set

template <typename V>
typename V::F gelu(typename V::F x, const float* coefficients) {
  const typename V::F clamped =
      V::min(V::max(x, V::broadcast(-kGeluBound)), V::broadcast(kGeluBound));
  const typename V::F z =
      V::fma(V::mul(clamped, clamped), V::broadcast(2.0F / (kGeluBound * kGeluBound)),
             V::broadcast(-1.0F));
  typename V::F p = V::broadcast(coefficients[kNumGeluCoefficients - 1]);
#pragma GCC unroll 16
  for (std::size_t i = kNumGeluCoefficients - 1; i > 0; --i) {
    p = V::fma(p, z, V::broadcast(coefficients[i - 1]));
  }
  return V::mul(x, V::fma(clamped, p, V::broadcast(0.5F)));
}

// Writes one vector of a product, its bias added or not, where and how the output wants it.
template <typename V, Epilogue kEpilogue>
void finish(typename V::F value, const GemmOutput& output, std::size_t row, std::size_t column) {
  float* target = output.values + row * output.stride + column;
  if constexpr (kEpilogue == Epilogue::kGelu) {
    V::store(target, gelu<V>(value, output.gelu->data()));
  } else if constexpr (kEpilogue == Epilogue::kAdd) {
    V::store(target, V::add(V::load(target), value));
  } else {
    V::store(target, value);
  }
}

template <typename V, Epilogue kEpilogue>
typename V::F add_bias(typename V::F sum, const GemmOutput& output, std::size_t column) {
  if constexpr (kEpilogue == Epilogue::kRaw) {
    return sum;
  } else {
    return V::add(sum, V::load(output.bias + column));
  }
}

// Calls function with the epilogue as a template argument, so that its branch is taken once.
template <typename Function>
void with_epilogue(Epilogue epilogue, Function function) {
  switch (epilogue) {
    case Epilogue::kRaw:
      return function.template operator()<Epilogue::kRaw>();
    case Epilogue::kStore:
      return function.template operator()<Epilogue::kStore>();
    case Epilogue::kAdd:
      return function.template operator()<Epilogue::kAdd>();
    case Epilogue::kGelu:
      return function.template operator()<Epilogue::kGelu>();
  }
}

}  // namespace
}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_EPILOGUE_H_
