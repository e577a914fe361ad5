// The little that these tests need of a test framework.
#pragma once

#include <cstdio>
#include <stdexcept>
#include <string>

struct Checks {
  int failed = 0, made = 0;

  void check(bool good, const char* file, int line, const std::string& what) {
    ++made;
    if (!good && ++failed <= 20) std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  }

  // The exit status of the test program.
  int report(const char* name) const {
    std::printf("%s: %d of %d checks failed\n", name, failed, made);
    return failed == 0 && made > 0 ? 0 : 1;
  }
};

#define CHECK(checks, condition, what) \
  (checks).check((condition), __FILE__, __LINE__, std::string(#condition) + ": " + (what))

// Whether `call` throws std::invalid_argument.
template <typename Call>
bool refuses(Call call) {
  try {
    call();
  } catch (const std::invalid_argument&) {
    return true;
  }
  return false;
}
