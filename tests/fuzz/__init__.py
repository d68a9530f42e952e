"""Fuzzing of framing and leaf code: ``python -m tests.fuzz --help``."""
