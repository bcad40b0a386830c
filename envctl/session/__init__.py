"""The session: everything that belongs to one caller of envctl. The caller creates it and passes it on; there is no global state."""

from envctl.session.session import Session

__all__ = ["Session"]
