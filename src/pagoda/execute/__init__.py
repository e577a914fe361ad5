"""Executors: what runs a program. base.py is their contract, reference.py the oracle, cpu.py the fast one."""
