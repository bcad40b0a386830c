"""Engines: what runs instances. `seam` says what one is, `registry` which there are."""

from envctl.engines.registry import open_engine
from envctl.engines.seam import (
    CommandResult,
    Deployment,
    DeploymentSettings,
    Engine,
    Execution,
    FindsPublishedRecords,
    FoundInstance,
    PortTaken,
    PreparesCommands,
    Progress,
    PublishedRecord,
    PublishesRecords,
    RunningInstance,
    ServiceState,
    SubnetTaken,
    TerminalCommand,
    Wanted,
)

__all__ = [
    "CommandResult",
    "Deployment",
    "DeploymentSettings",
    "Engine",
    "Execution",
    "FindsPublishedRecords",
    "FoundInstance",
    "PortTaken",
    "PreparesCommands",
    "Progress",
    "PublishedRecord",
    "PublishesRecords",
    "RunningInstance",
    "ServiceState",
    "SubnetTaken",
    "TerminalCommand",
    "Wanted",
    "open_engine",
]
