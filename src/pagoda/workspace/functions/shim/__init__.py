"""Modules that functions import by name: `open_webui` and `tiktoken`. The plugin process alone finds them."""
