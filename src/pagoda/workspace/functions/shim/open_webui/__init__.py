"""The part of `open_webui` that functions import most: the names, over this server's own data."""
