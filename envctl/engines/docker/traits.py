"""What is different about this engine; imported by everybody, hence without its libraries."""

from envctl.plan.traits import EngineTraits

DOCKER = EngineTraits("docker", "Docker")
