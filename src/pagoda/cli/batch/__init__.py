"""`pagoda run-batch`: many requests from a file, in OpenAI's batch format, answered into another file."""
