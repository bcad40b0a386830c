"""What a plan must know about clusters."""

from envctl.plan.traits import Addresses, EngineTraits

NO_ROUTE = "tests.envctl.invalid"
"""The host name for the machine of the tests, which pods cannot reach; by RFC 2606, a name in `.invalid` never resolves."""
TRAITS = EngineTraits(
    "kubernetes", "a cluster", replaces_servers=True, dns_labels=True, reaches_tests=False, brings_kept=True, shares_namespaces=True,
    lasting_seconds=0.5,  # the time that the kubelet of a busy node needs to connect
    addresses=Addresses(tester_host=NO_ROUTE), manifests="kubernetes",
)  # fmt: skip
