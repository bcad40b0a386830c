"""Engines: what runs instances. `seam` says what one is, `registry` which there are."""

from envctl.engines.protocol import AdmitsReaders as AdmitsReaders
from envctl.engines.protocol import BringsKept as BringsKept
from envctl.engines.protocol import BuildsMeanwhile as BuildsMeanwhile
from envctl.engines.protocol import CommandResult as CommandResult
from envctl.engines.protocol import ConnectsProcesses as ConnectsProcesses
from envctl.engines.protocol import Deployment as Deployment
from envctl.engines.protocol import DeploymentSettings as DeploymentSettings
from envctl.engines.protocol import Engine as Engine
from envctl.engines.protocol import Execution as Execution
from envctl.engines.protocol import FindsPublishedRecords as FindsPublishedRecords
from envctl.engines.protocol import FoundInstance as FoundInstance
from envctl.engines.protocol import HearsOfOwners as HearsOfOwners
from envctl.engines.protocol import KeepsData as KeepsData
from envctl.engines.protocol import KeptData as KeptData
from envctl.engines.protocol import PortTaken as PortTaken
from envctl.engines.protocol import PreparesCommands as PreparesCommands
from envctl.engines.protocol import Progress as Progress
from envctl.engines.protocol import PublishedRecord as PublishedRecord
from envctl.engines.protocol import PublishesRecords as PublishesRecords
from envctl.engines.protocol import RunningInstance as RunningInstance
from envctl.engines.protocol import Saved as Saved
from envctl.engines.protocol import ServiceState as ServiceState
from envctl.engines.protocol import SubnetTaken as SubnetTaken
from envctl.engines.protocol import TerminalCommand as TerminalCommand
from envctl.engines.protocol import Wanted as Wanted
from envctl.engines.registry import open_engine as open_engine
