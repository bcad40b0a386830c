"""`envctl init`: a project's folder -> what it shows -> Proposal -> the text of an environment. Nothing is written."""

from envctl.proposal.gather import gather
from envctl.proposal.model import Evidence, Proposal
from envctl.proposal.propose import propose
from envctl.proposal.text import proposal_text

__all__ = ["Evidence", "Proposal", "gather", "proposal_text", "propose"]
