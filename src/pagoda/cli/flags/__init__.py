"""The flags of `pagoda serve`, those of `vllm serve` among them: one table, from which the command line is
read, help is written and docs/compatibility.md lists what works.
"""
