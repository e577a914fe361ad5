"""The scripts behind every figure of the README. `python -m benchmarks` runs them all; see NOTES.md."""
