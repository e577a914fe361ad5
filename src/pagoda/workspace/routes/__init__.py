"""The workspace's HTTP surface below /api: one file a family, thin over the services."""
