"""What a plan must know of a cluster."""

from envctl.plan.traits import Addresses, EngineTraits

NO_ROUTE = "tests.envctl.invalid"
"""The name of the tests' machine, which no pod can reach; RFC 2606 has it lead nowhere."""
TRAITS = EngineTraits(
    "kubernetes", "a cluster", replaces_servers=True, dns_labels=True, reaches_tests=False, brings_kept=True, shares_namespaces=True,
    lasting_seconds=0.5,  # until the kubelet has dialled, on a machine that is busy
    addresses=Addresses(tester_host=NO_ROUTE), manifests="kubernetes",
)  # fmt: skip
