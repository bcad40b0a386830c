"""How fast envctl is, beside what a team would use without it: `python -m benchmarks --help`."""
