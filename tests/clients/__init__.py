"""Suites of real clients against real servers; `make test-clients` runs them.

Each client has an environment of its own (requirements/NAME.txt, every version pinned), since few of them can
live in one. A suite knows the servers by their addresses only, as a user's program does.
"""
