"""What was done to the data of the services, and what is still to do. It is stored by the id of the data, so lost data counts as new."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from envctl.engines import Deployment, KnewDataOtherwise, SharesData
from envctl.errors import UsageError
from envctl.instance.record import DataRecord, Record
from envctl.lifecycle.declared import first_of, made_of
from envctl.plan.model import ServicePlan, Step


@dataclass(frozen=True)
class Data:
    """The data of one instance: *update* changes its record, *record* returns the record as it was last written."""

    update: Callable[[Callable[[Record], Record]], None]
    record: Callable[[], Record]
    deployment: Deployment

    def recorded(self, service: ServicePlan) -> DataRecord:
        """What is recorded about the data that is there now; new data holds what it began as."""
        return recorded(self.record(), service.name, self.deployment.data_id(service))

    def pending(self, service: ServicePlan) -> Sequence[Step]:
        """The seed steps that have not been run on it."""
        return service.steps[len(self.recorded(service).steps) :] if service.steps else ()

    def is_whole(self, service: ServicePlan) -> bool:
        """Whether all that is done to it has been done; of what nothing is done to nobody asks its engine."""
        if not (service.steps or service.sets_up):
            return True
        return len(self.recorded(service).steps) == len(service.steps) and (not service.sets_up or self.is_set_up(service))

    def is_recorded(self, service: ServicePlan) -> bool:
        """Whether anything is known of the data that is there now."""
        found = self.record().data.get(service.name)
        return found is not None and found.data_id == self.deployment.data_id(service)

    def is_set_up(self, service: ServicePlan) -> bool:
        """Whether all that its set-up makes is there; a set-up that has changed since makes what is lacking."""
        found = self.recorded(service)
        return found.set_up and found.made in ("", made_of(service))

    def forget_others(self, service: ServicePlan) -> None:
        """Of data that is not there any more nothing is known."""
        if service.name in self.record().data and self.record().data[service.name] != self.recorded(service):
            self.know_again([service])
            if self.record().data[service.name] != self.recorded(service):
                self._forget(service)

    def staying(self, services: Iterable[ServicePlan]) -> list[str]:
        """What would stay of their data, were it discarded; nothing is changed.

        Raises:
            UsageError: one of them would keep all of it.
        """
        if not isinstance(self.deployment, SharesData):
            return []
        return [f"{service.name}: {text}" for service in services for text in self.deployment.staying(service)]

    def discard(self, service: ServicePlan) -> None:
        """It is gone with its data, of which nothing is known from before that on: it may be half gone."""
        self._forget(service)
        self.deployment.discard(service)

    def _forget(self, service: ServicePlan) -> None:
        self.update(lambda record: replace(record, data={k: v for k, v in record.data.items() if k != service.name}))

    def know_again(self, services: Iterable[ServicePlan]) -> None:
        """What is recorded by another id of the same data counts for it: nothing is seeded twice."""
        if not isinstance(self.deployment, KnewDataOtherwise):
            return
        for service in services:
            known = self.record().data.get(service.name)
            now = self.deployment.data_id(service) if known is not None else ""
            if known is not None and known.data_id not in ("", now) and known.data_id == self.deployment.former_data_id(service):
                self._note(service, replace(known, data_id=now))

    def note_kept(self, service: ServicePlan) -> None:
        """What it began as is recorded as its own: a reset must know what to make again."""
        record = self.record()
        if service.name not in record.data and service.name in record.snapshots:
            found = self.recorded(service)
            if found.steps or found.units:
                self._note(service, found)

    def note_first(self, service: ServicePlan) -> None:
        """By what the first start has made it, so that nobody takes other scripts for run."""
        if first := first_of(service):
            found = self.recorded(service)
            if not found.first:
                self._note(service, replace(found, first=first))

    def note_set_up(self, service: ServicePlan) -> None:
        self._note(service, replace(self.recorded(service), set_up=True, made=made_of(service)))

    def note_step(self, service: ServicePlan, step: Step) -> None:
        found = self.recorded(service)
        # What was made of the data before is not what it is now.
        self._note(service, replace(found, steps=(*found.steps, step.hash), units=()))

    def note_whole(self, service: ServicePlan) -> None:
        """Another machine has made all of it."""
        steps = tuple(step.hash for step in service.steps)
        self._note(
            service, DataRecord(self.deployment.data_id(service), steps, set_up=True, made=made_of(service), first=first_of(service))
        )

    def note_units(self, service: ServicePlan, before: DataRecord, made: Iterable[str]) -> None:
        """What was made of data of which *before* was known: making it may have changed by what that data is known."""
        found = replace(before, data_id=self.deployment.data_id(service), units=tuple(made))
        self._note(service, found)

    def _note(self, service: ServicePlan, found: DataRecord) -> None:
        self.update(lambda record: replace(record, data={**record.data, service.name: found}))


def recorded(record: Record, service: str, data_id: str) -> DataRecord:
    """What *record* contains about the data with that id."""
    found = record.data.get(service)
    if found is not None and found.data_id == data_id:
        return found
    began_as = record.snapshots.get(service) if data_id else None
    return DataRecord(data_id, began_as.steps, set_up=True, units=began_as.units) if began_as is not None else DataRecord(data_id)


def changed_seeds(record: Record, deployment: Deployment, services: Iterable[ServicePlan]) -> Iterator[tuple[ServicePlan, str]]:
    """The services whose data was made by other seed steps or initialisation scripts than the current ones, and what has changed."""
    for service in services:
        if service.name not in record.data and service.name not in record.snapshots:
            continue  # nobody need ask the engine, which may not even have a place for it yet
        known = recorded(record, service.name, deployment.data_id(service))
        if begun_otherwise(service, known):
            yield service, "what its first start makes (databases, users, extensions, scripts) has changed"
        elif tuple(step.hash for step in service.steps)[: len(known.steps)] != known.steps:
            changed = next((s for s, old in zip(service.steps, known.steps, strict=False) if s.hash != old), None)
            step = f"seed step {changed.number + 1} ({changed.title}, {changed.where})" if changed else ""
            yield service, f"{step} has changed" if changed else "a seed step was removed"


def begun_otherwise(service: ServicePlan, known: DataRecord) -> bool:
    """Whether other initialisation scripts than the current ones have made the data."""
    return bool(known.first) and known.first != first_of(service)


def refuse_changed_seeds(record: Record, called: str, deployment: Deployment, services: Iterable[ServicePlan]) -> None:
    """Refuses to mix the results of the current seed steps with data that other steps or initialisation scripts have made.

    Raises:
        UsageError: it says what has changed.
    """
    for service, what in changed_seeds(record, deployment, services):
        raise UsageError(
            f"{service.name}: {what} since its data was {'seeded' if service.steps else 'made'}",
            hint=f"`envctl reset {called} {service.name}` seeds it again, `envctl up {record.environment} --fresh` starts with empty data",
        )
