// How many threads this process may really run at once.
#pragma once

namespace pagoda {

// Physical cores among the CPUs this process may use (sched_getaffinity; hardware threads of one core
// share its vector units and count once), but not more than the CPU quota of its control groups
// (version 2: cpu.max of the group and its parents; version 1: cpu.cfs_quota_us), rounded up. At least 1.
int available_threads();

}  // namespace pagoda
