"""The engine: scheduler, block pool with prefix cache, the step loop, its process and its clients."""
