// Views of NumPy arrays through the buffer protocol: read-only memory maps and unaligned strides included.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace pagoda {

class ArrayView {
 public:
  // Any strides. Throws std::invalid_argument when the object is no array of `item_bytes` a value.
  ArrayView(nanobind::handle array, const char* name, int64_t item_bytes, int dimensions)
      : ArrayView(array, name, item_bytes, dimensions, PyBUF_STRIDED_RO) {}

  // A C-contiguous array of the given type: 'i' for int32, 'f' for float32.
  ArrayView(nanobind::handle array, const char* name, char type, int dimensions)
      : ArrayView(array, name, int64_t{4}, dimensions, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) {
    if (!view_.format || view_.format[0] != type || view_.format[1] != 0) {
      PyBuffer_Release(&view_);
      throw std::invalid_argument(std::string(name) + " must hold " + (type == 'i' ? "int32" : "float32"));
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
  ArrayView(nanobind::handle array, const char* name, int64_t item_bytes, int dimensions, int flags) {
    if (PyObject_GetBuffer(array.ptr(), &view_, flags) != 0) {
      PyErr_Clear();
      throw std::invalid_argument(std::string(name) + " is not an array of the wanted layout");
    }
    if (view_.itemsize != item_bytes || view_.ndim != dimensions) {
      PyBuffer_Release(&view_);
      throw std::invalid_argument(std::string(name) + " must have " + std::to_string(dimensions) +
                                  " dimension(s) and values of " + std::to_string(item_bytes) + " bytes");
    }
  }

  Py_buffer view_;
};

}  // namespace pagoda
