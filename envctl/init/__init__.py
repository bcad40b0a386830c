"""`envctl init`: a project's folder -> what it shows -> Proposal -> the text of an environment. Nothing is written."""

from envctl.init.gather import gather
from envctl.init.model import Evidence, Proposal
from envctl.init.propose import propose
from envctl.init.text import proposal_text

__all__ = ["Evidence", "Proposal", "gather", "proposal_text", "propose"]
