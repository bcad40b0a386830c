"""What is different about this engine; imported by everybody, hence without its libraries."""

from envctl.plan.traits import EngineTraits

KUBERNETES = EngineTraits("kubernetes", "Kubernetes", has_namespaces=True, replaces_servers=True)
