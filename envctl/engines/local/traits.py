"""The properties of local processes that a plan depends on."""

from envctl.plan.traits import Addresses, EngineTraits

TRAITS = EngineTraits(
    "local", "this machine", runs_processes=True, uses_images=False, proxies=True, addresses=Addresses(tester_host="127.0.0.1")
)
