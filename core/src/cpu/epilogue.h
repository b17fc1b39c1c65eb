#ifndef TWOPASS_SRC_CPU_EPILOGUE_H_
#define TWOPASS_SRC_CPU_EPILOGUE_H_

#include <cstddef>

#include "cpu/exp2.h"
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

// x / (1 + exp(-x)), with the exponential of -|x|, so that none overflows; error below 1e-6 |x|.
template <typename V>
typename V::F silu(typename V::F x) {
  const typename V::F zero = V::broadcast(0.0F);
  const typename V::F e =
      exp2_of_negative<V>(V::mul(V::abs(x), V::broadcast(-1.4426950408889634F)));
  const typename V::F above = V::fma(V::min(x, zero), e, V::max(x, zero));
  return V::div(above, V::add(V::broadcast(1.0F), e));
}

template <typename V, Epilogue kEpilogue>
typename V::F activated(typename V::F value, const GemmOutput& output) {
  if constexpr (kEpilogue == Epilogue::kGelu || kEpilogue == Epilogue::kGatedGelu) {
    return gelu<V>(value, output.gelu->data());
  } else if constexpr (kEpilogue == Epilogue::kRelu || kEpilogue == Epilogue::kGatedRelu) {
    return V::max(value, V::broadcast(0.0F));
  } else if constexpr (kEpilogue == Epilogue::kSilu || kEpilogue == Epilogue::kGatedSilu) {
    return silu<V>(value);
  } else {
    return value;
  }
}

// Writes one vector of a product, its bias added or not, where and how the output wants it.
template <typename V, Epilogue kEpilogue>
void finish(typename V::F value, const GemmOutput& output, std::size_t row, std::size_t column) {
  float* target = output.values + row * output.stride + column;
  if constexpr (kEpilogue == Epilogue::kAdd) {
    V::store(target, V::add(V::load(target), value));
  } else {
    V::store(target, activated<V, kEpilogue>(value, output));
  }
}

// Writes one vector of gates and what they let through; column counts those of the output.
template <typename V, Epilogue kEpilogue>
void finish_gated(typename V::F gate, typename V::F value, const GemmOutput& output,
                  std::size_t row, std::size_t column) {
  V::store(output.values + row * output.stride + column,
           V::mul(activated<V, kEpilogue>(gate, output), value));
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
    case Epilogue::kRelu:
      return function.template operator()<Epilogue::kRelu>();
    case Epilogue::kSilu:
      return function.template operator()<Epilogue::kSilu>();
    case Epilogue::kGatedGelu:
      return function.template operator()<Epilogue::kGatedGelu>();
    case Epilogue::kGatedRelu:
      return function.template operator()<Epilogue::kGatedRelu>();
    case Epilogue::kGatedSilu:
      return function.template operator()<Epilogue::kGatedSilu>();
  }
}

}  // namespace
}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_EPILOGUE_H_
