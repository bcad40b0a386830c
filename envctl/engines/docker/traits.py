"""What a plan must know of Docker."""

from envctl.plan.traits import EngineTraits

TRAITS = EngineTraits("docker", "Docker", proxies=True, copies_kept=True, manifests="compose", joins_others=True)
