// How many threads this process may really run at once.
#pragma once

#include <vector>

namespace pagoda {

// The CPUs this process may use (sched_getaffinity), those of one physical core together.
std::vector<std::vector<int>> usable_cores();

// Lets the calling thread run on the given CPUs only, and says whether the system agreed.
bool pin_to(const std::vector<int>& cpus);

// The CPU the calling thread is on, or -1 where that is not known.
int current_cpu();

// The number of usable cores (hardware threads of one core share its vector units and count once), but not more than the CPU quota of its control groups
// (version 2: cpu.max of the group and its parents; version 1: cpu.cfs_quota_us), rounded up. At least 1.
int available_threads();

}  // namespace pagoda
