#include "cpu_set.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#if defined(__linux__)
#include <sched.h>
#else
#include <thread>
#endif

namespace pagoda {

#if defined(__linux__)

namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// CPUs' worth of time that `quota` and `period` allow, or infinity for "max", -1 and nonsense.
double share(const std::string& quota, const std::string& period) {
  try {
    const double time = std::stod(quota), every = std::stod(period);
    if (time > 0 && every > 0) return time / every;
  } catch (const std::exception&) {
    // "max" or an empty file: no limit.
  }
  return INFINITY;
}

double quota_of_group(const std::string& folder) {
  std::string quota, period;
  std::istringstream(first_line(folder + "/cpu.max")) >> quota >> period;
  return std::min(share(quota, period),
                  share(first_line(folder + "/cpu.cfs_quota_us"), first_line(folder + "/cpu.cfs_period_us")));
}

// The smallest quota from `group` up to the mount's root.
double quota_upwards(const std::string& mount, std::string group) {
  double least = quota_of_group(mount);
  while (group.size() > 1) {
    least = std::min(least, quota_of_group(mount + group));
    group.resize(std::max<size_t>(group.rfind('/'), 1) == 1 ? 1 : group.rfind('/'));
  }
  return least;
}

// Lines of /proc/self/cgroup are "0::/group" (version 2) or "4:cpu,cpuacct:/group" (version 1).
double cgroup_quota() {
  double least = INFINITY;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      least = std::min(least, quota_upwards("/sys/fs/cgroup", group));
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      least = std::min(least, quota_upwards("/sys/fs/cgroup/" + controllers, group));
      least = std::min(least, quota_upwards("/sys/fs/cgroup/cpu", group));
    }
  }
  return least;
}

}  // namespace

std::vector<std::vector<int>> usable_cores() {
  // Machines with more CPUs than a cpu_set_t holds need a larger set: the call fails until it fits.
  for (int limit = 1024; limit <= 1 << 18; limit *= 2) {
    cpu_set_t* set = CPU_ALLOC(limit);
    if (!set) break;
    const size_t bytes = CPU_ALLOC_SIZE(limit);
    CPU_ZERO_S(bytes, set);
    const bool known = sched_getaffinity(0, bytes, set) == 0;
    std::map<std::string, std::vector<int>> cores;
    for (int cpu = 0; known && cpu < limit; ++cpu) {
      if (!CPU_ISSET_S(cpu, bytes, set)) continue;
      const std::string number = std::to_string(cpu);
      const std::string siblings =
          first_line("/sys/devices/system/cpu/cpu" + number + "/topology/thread_siblings_list");
      cores[siblings.empty() ? "cpu " + number : siblings].push_back(cpu);
    }
    CPU_FREE(set);
    if (!known) continue;
    std::vector<std::vector<int>> found;
    for (auto& [name, cpus] : cores) found.push_back(std::move(cpus));
    std::sort(found.begin(), found.end());
    return found;
  }
  return {};
}

bool pin_to(const std::vector<int>& cpus) {
  if (cpus.empty()) return false;
  const int limit = *std::max_element(cpus.begin(), cpus.end()) + 1;
  cpu_set_t* set = CPU_ALLOC(limit);
  if (!set) return false;
  const size_t bytes = CPU_ALLOC_SIZE(limit);
  CPU_ZERO_S(bytes, set);
  for (const int cpu : cpus) CPU_SET_S(cpu, bytes, set);
  const bool agreed = sched_setaffinity(0, bytes, set) == 0;
  CPU_FREE(set);
  return agreed;
}

int current_cpu() { return sched_getcpu(); }

int available_threads() {
  const int cores = std::max(1, static_cast<int>(usable_cores().size()));
  const double quota = cgroup_quota();
  if (quota >= cores) return cores;
  return std::max(1, static_cast<int>(std::ceil(quota)));
}

#else

std::vector<std::vector<int>> usable_cores() { return {}; }

bool pin_to(const std::vector<int>&) { return false; }

int current_cpu() { return -1; }

int available_threads() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

#endif

}  // namespace pagoda
