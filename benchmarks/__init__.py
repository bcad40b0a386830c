"""Measure the speed of envctl beside the tools that a team would use without it: `python -m benchmarks --help`."""
