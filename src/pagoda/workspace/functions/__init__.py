"""Plugin functions: Filter, Pipe and Action classes that administrators add, in their own process."""
