"""envctl: environments for integration tests, declared once, brought up anywhere, gone without a trace."""

__version__ = "0.1.0"
