#ifndef TWOPASS_SRC_OPS_ACTIVATION_H_
#define TWOPASS_SRC_OPS_ACTIVATION_H_

#include "cpu/kernels.h"
#include "twopass/encoder.h"

namespace twopass {

// Coefficients of the kernels' GELU, error below 5e-6 for either function: kGelu or kGeluTanh.
const GeluCoefficients& gelu_coefficients(Activation activation);

// What makes a product an activation of it: kGelu, kGeluTanh, kRelu or kSilu, gated or not.
Epilogue epilogue_of(Activation activation, bool gated);

}  // namespace twopass

#endif  // TWOPASS_SRC_OPS_ACTIVATION_H_
