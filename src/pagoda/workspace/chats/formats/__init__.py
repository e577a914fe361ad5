"""Formats in which chats come and go. All are read into the own one, which loses nothing."""
