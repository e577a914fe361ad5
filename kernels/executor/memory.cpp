#include "memory.h"

#include <sys/mman.h>

#include <new>
#include <utility>

namespace pagoda {

namespace {

constexpr size_t kSystemPage = 4096;

}  // namespace

MappedMemory::MappedMemory(size_t bytes, bool huge_pages) : bytes_(bytes) {
  if (bytes == 0) return;
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#if defined(MAP_NORESERVE)
  flags |= MAP_NORESERVE;
#endif
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  data_ = memory;
#if defined(MADV_HUGEPAGE)
  // Advice: a refusal costs speed alone.
  if (huge_pages) (void)madvise(memory, bytes, MADV_HUGEPAGE);
#else
  (void)huge_pages;
#endif
}

MappedMemory::~MappedMemory() {
  if (data_) munmap(data_, bytes_);
}

MappedMemory::MappedMemory(MappedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

MappedMemory& MappedMemory::operator=(MappedMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void MappedMemory::release(size_t begin) {
  begin = (begin + kSystemPage - 1) / kSystemPage * kSystemPage;
  if (begin < bytes_) (void)madvise(as<std::byte>() + begin, bytes_ - begin, MADV_DONTNEED);
}

}  // namespace pagoda
