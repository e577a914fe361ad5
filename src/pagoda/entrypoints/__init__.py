"""The module paths by which guides for vLLM start a server, with the package's name changed."""
