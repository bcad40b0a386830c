"""What is different about this engine; imported by everybody, hence without its libraries."""

from envctl.plan.traits import EngineTraits

LOCAL = EngineTraits("local", "this machine", runs_processes=True)
