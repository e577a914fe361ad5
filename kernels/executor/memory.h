// Large arrays straight from the operating system: zero until written, and without cost until touched.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pagoda {

class MappedMemory {
 public:
  MappedMemory() = default;
  // Throws std::bad_alloc when the address space is refused.
  explicit MappedMemory(size_t bytes, bool huge_pages = false);
  ~MappedMemory();
  MappedMemory(MappedMemory&& other) noexcept;
  MappedMemory& operator=(MappedMemory&& other) noexcept;

  template <typename T>
  T* as() const { return static_cast<T*>(data_); }
  size_t bytes() const { return bytes_; }

  // Gives the memory from `begin` on back to the system; it reads as zero again.
  void release(size_t begin);

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace pagoda
