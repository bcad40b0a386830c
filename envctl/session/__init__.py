"""What one caller of envctl brings along, made at the edge and passed on: there is nothing global behind it."""

from envctl.session.session import Session

__all__ = ["Session"]
