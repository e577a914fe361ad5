// Views of NumPy arrays through the buffer protocol: read-only memory maps and unaligned strides included.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace pagoda {

class ArrayView {
 public:
  // Throws std::invalid_argument when the object is no array of `item_bytes` a value in `dimensions`.
  ArrayView(nanobind::handle array, const char* name, int64_t item_bytes, int dimensions, bool contiguous) {
    const int flags = contiguous ? PyBUF_C_CONTIGUOUS : PyBUF_STRIDED_RO;
    if (PyObject_GetBuffer(array.ptr(), &view_, flags) != 0) {
      PyErr_Clear();
      throw std::invalid_argument(std::string(name) + (contiguous ? " is not a C-contiguous array" : " is not an array"));
    }
    if (view_.itemsize != item_bytes || view_.ndim != dimensions) {
      PyBuffer_Release(&view_);
      throw std::invalid_argument(std::string(name) + " must have " + std::to_string(dimensions) +
                                  " dimensions and values of " + std::to_string(item_bytes) + " bytes");
    }
  }
  ~ArrayView() { PyBuffer_Release(&view_); }
  ArrayView(const ArrayView&) = delete;
  ArrayView& operator=(const ArrayView&) = delete;

  template <typename T>
  const T* data() const { return static_cast<const T*>(view_.buf); }
  int64_t size(int dimension) const { return view_.shape[dimension]; }
  int64_t stride(int dimension) const { return view_.strides[dimension]; }   // bytes

 private:
  Py_buffer view_;
};

}  // namespace pagoda
