"""The session: everything that one caller of envctl brings along. It is created by the caller and passed on; there is no global state."""

from envctl.session.session import Session

__all__ = ["Session"]
