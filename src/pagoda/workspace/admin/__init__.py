"""What administrators do: users, groups, invitations, settings, usage, backups."""
