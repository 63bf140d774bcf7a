"""Timing for the benchmarks; it lives in `saccade.bench.timing`, where `saccade bench` needs it."""

from saccade.bench.timing import environment, interleave, keep_heap, saved_bytes, summary

__all__ = ["environment", "interleave", "keep_heap", "saved_bytes", "summary"]
