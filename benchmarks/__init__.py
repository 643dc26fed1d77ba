"""Measurements, run as ``python -m benchmarks.NAME``; none of them is a test."""
