#include "ops/activation.h"

namespace twopass {

// Fitted to x Phi(x) - x/2 on [-5, 5] by iteratively reweighted least squares (Lawson 1961), so
// that the largest absolute error is least, among the polynomials with p(1) = 1/10: with these
// Phi is 1 and 0 beyond the bounds, and the error does not grow with x.
const GeluCoefficients& gelu_coefficients(Activation activation) {
  static constexpr GeluCoefficients erf{
      0.14136375486850739F,   -0.0702984407544136F,   0.05152461677789688F,
      -0.04038664326071739F,  0.031365036964416504F,  -0.02366187795996666F,
      0.016880294308066368F,  -0.010063489899039268F, 0.005155764054507017F,
      -0.004007933661341667F, 0.0031737484969198704F, -0.0010448334505781531F};
  static constexpr GeluCoefficients tanh{
      0.1413784772157669F,    -0.07036800682544708F,  0.05166145786643028F,
      -0.040484391152858734F, 0.0312667042016983F,    -0.02342098392546177F,
      0.01654086261987686F,   -0.009331456385552883F, 0.0044603245332837105F,
      -0.00440435903146863F,  0.004154990427196026F,  -0.0014536267844960093F};
  return activation == Activation::kGeluTanh ? tanh : erf;
}

Epilogue epilogue_of(Activation activation, bool gated) {
  switch (activation) {
    case Activation::kRelu:
      return gated ? Epilogue::kGatedRelu : Epilogue::kRelu;
    case Activation::kSilu:
      return gated ? Epilogue::kGatedSilu : Epilogue::kSilu;
    default:
      return gated ? Epilogue::kGatedGelu : Epilogue::kGelu;
  }
}

}  // namespace twopass
