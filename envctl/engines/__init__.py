"""Engines: what runs instances. `seam` says what one is, `registry` which there are."""

from envctl.engines.registry import open_engine as open_engine
from envctl.engines.seam import AdmitsReaders as AdmitsReaders
from envctl.engines.seam import BringsKept as BringsKept
from envctl.engines.seam import BuildsMeanwhile as BuildsMeanwhile
from envctl.engines.seam import CommandResult as CommandResult
from envctl.engines.seam import ConnectsProcesses as ConnectsProcesses
from envctl.engines.seam import Deployment as Deployment
from envctl.engines.seam import DeploymentSettings as DeploymentSettings
from envctl.engines.seam import Engine as Engine
from envctl.engines.seam import Execution as Execution
from envctl.engines.seam import FindsPublishedRecords as FindsPublishedRecords
from envctl.engines.seam import FoundInstance as FoundInstance
from envctl.engines.seam import HearsOfOwners as HearsOfOwners
from envctl.engines.seam import KeepsData as KeepsData
from envctl.engines.seam import KeptData as KeptData
from envctl.engines.seam import PortTaken as PortTaken
from envctl.engines.seam import PreparesCommands as PreparesCommands
from envctl.engines.seam import Progress as Progress
from envctl.engines.seam import PublishedRecord as PublishedRecord
from envctl.engines.seam import PublishesRecords as PublishesRecords
from envctl.engines.seam import RunningInstance as RunningInstance
from envctl.engines.seam import Saved as Saved
from envctl.engines.seam import ServiceState as ServiceState
from envctl.engines.seam import SubnetTaken as SubnetTaken
from envctl.engines.seam import TerminalCommand as TerminalCommand
from envctl.engines.seam import Wanted as Wanted
