"""Benchmarks for a user's machine: competitors take turns, and every figure names the machine and its roofline."""
