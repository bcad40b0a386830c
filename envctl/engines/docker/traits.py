"""The properties of Docker that a plan depends on."""

from envctl.plan.traits import EngineTraits

TRAITS = EngineTraits("docker", "Docker", proxies=True, copies_kept=True, manifests="compose", joins_others=True)
