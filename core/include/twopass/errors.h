#ifndef TWOPASS_ERRORS_H_
#define TWOPASS_ERRORS_H_

#include <stdexcept>

namespace twopass {

// A model's files are damaged or contradict each other; the message names the file and what is
// wrong.
class ModelError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The model is sound, but the core does not compute its shape.
class UnsupportedModelError : public ModelError {
 public:
  using ModelError::ModelError;
};

// A sequence has more tokens than the model has positions.
class InputTooLongError : public std::length_error {
 public:
  using std::length_error::length_error;
};

}  // namespace twopass

#endif  // TWOPASS_ERRORS_H_
