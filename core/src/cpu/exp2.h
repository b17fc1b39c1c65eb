#ifndef TWOPASS_SRC_CPU_EXP2_H_
#define TWOPASS_SRC_CPU_EXP2_H_

namespace twopass {
namespace {  // each translation unit compiles this for its own instruction set

// exp(x) for x <= 0, relative error below 1e-6 where the result is normal; 2^f by a minimax
// polynomial on [-1/2, 1/2], error 7.5e-8. Takes x as x * log2(e).
template <typename V>
typename V::F exp2_of_negative(typename V::F t) {
  t = V::max(t, V::broadcast(-126.0F));  // below, a result would be subnormal
  const typename V::F n = V::round(t);
  const typename V::F f = V::sub(t, n);
  typename V::F p = V::broadcast(0.0013276468962430954F);
  p = V::fma(p, f, V::broadcast(0.009675540961325169F));
  p = V::fma(p, f, V::broadcast(0.05550713464617729F));
  p = V::fma(p, f, V::broadcast(0.24022120237350464F));
  p = V::fma(p, f, V::broadcast(0.6931469440460205F));
  p = V::fma(p, f, V::broadcast(1.0000001192092896F));
  return V::scale_by_power_of_two(p, n);
}

}  // namespace
}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_EXP2_H_
