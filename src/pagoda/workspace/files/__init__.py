"""What users upload: received within limits, read in a process of its own, kept in the data folder."""
