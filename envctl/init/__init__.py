"""`envctl init`: a project's folder -> what it shows -> Proposal -> the text of an environment. Nothing is written."""

from envctl.init.gather import gather
from envctl.init.model import ProjectFindings, Proposal
from envctl.init.propose import propose
from envctl.init.text import proposal_text

__all__ = ["ProjectFindings", "Proposal", "gather", "proposal_text", "propose"]
