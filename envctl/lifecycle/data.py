"""Record what was done to the data of services, and return what is left to do. Records hold the id of the data: lost data counts as new."""

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
    """Access to the data of one instance: *update* changes its record, *record* returns the record as it was last written."""

    update: Callable[[Callable[[Record], Record]], None]
    record: Callable[[], Record]
    deployment: Deployment

    def recorded(self, service: ServicePlan) -> DataRecord:
        """Return what is recorded about the current data. New data from a snapshot has what the snapshot contains."""
        return recorded(self.record(), service.name, self.deployment.data_id(service))

    def pending(self, service: ServicePlan) -> Sequence[Step]:
        """Return the seed steps that have not been run on the current data."""
        return service.steps[len(self.recorded(service).steps) :] if service.steps else ()

    def is_whole(self, service: ServicePlan) -> bool:
        """Return whether set-up and seeding are complete; without either, the engine is not queried."""
        if not (service.steps or service.sets_up):
            return True
        return len(self.recorded(service).steps) == len(service.steps) and (not service.sets_up or self.is_set_up(service))

    def is_recorded(self, service: ServicePlan) -> bool:
        """Return whether anything is recorded about the current data."""
        found = self.record().data.get(service.name)
        return found is not None and found.data_id == self.deployment.data_id(service)

    def is_set_up(self, service: ServicePlan) -> bool:
        """Return whether the set-up is complete; if the declaration of databases or users has changed since, the set-up must run again."""
        found = self.recorded(service)
        return found.set_up and found.made in ("", made_of(service))

    def forget_others(self, service: ServicePlan) -> None:
        """Remove the record of data that no longer exists."""
        if service.name in self.record().data and self.record().data[service.name] != self.recorded(service):
            self.know_again([service])
            if self.record().data[service.name] != self.recorded(service):
                self._forget(service)

    def staying(self, services: Iterable[ServicePlan]) -> list[str]:
        """Return a sentence for each part of the services' data that `discard` would keep; change nothing.

        Raises:
            UsageError: all data of a service is shared, so that `discard` would refuse it.
        """
        if not isinstance(self.deployment, SharesData):
            return []
        return [f"{service.name}: {text}" for service in services for text in self.deployment.staying(service)]

    def discard(self, service: ServicePlan) -> None:
        """Discard the service and its data. The record of the data is removed first: after a failure, the data may be incomplete."""
        self._forget(service)
        self.deployment.discard(service)

    def _forget(self, service: ServicePlan) -> None:
        self.update(lambda record: replace(record, data={k: v for k, v in record.data.items() if k != service.name}))

    def know_again(self, services: Iterable[ServicePlan]) -> None:
        """Update the record if the engine has given a new id to the same data, so that nothing is seeded twice."""
        if not isinstance(self.deployment, KnewDataOtherwise):
            return
        for service in services:
            known = self.record().data.get(service.name)
            now = self.deployment.data_id(service) if known is not None else ""
            if known is not None and known.data_id not in ("", now) and known.data_id == self.deployment.former_data_id(service):
                self._note(service, replace(known, data_id=now))

    def note_kept(self, service: ServicePlan) -> None:
        """Record the content of the snapshot as the service's own data: a reset must know what to make again."""
        record = self.record()
        if service.name not in record.data and service.name in record.snapshots:
            found = self.recorded(service)
            if found.steps or found.units:
                self._note(service, found)

    def note_first(self, service: ServicePlan) -> None:
        """Record the hash of the scripts of the first start, so that changed scripts are noticed later."""
        if first := first_of(service):
            found = self.recorded(service)
            if not found.first:
                self._note(service, replace(found, first=first))

    def note_set_up(self, service: ServicePlan) -> None:
        """Record that the set-up of the service is complete."""
        self._note(service, replace(self.recorded(service), set_up=True, made=made_of(service)))

    def note_step(self, service: ServicePlan, step: Step) -> None:
        """Record that *step* has succeeded."""
        found = self.recorded(service)
        # Copies for resets and lanes do not contain the new step.
        self._note(service, replace(found, steps=(*found.steps, step.hash), units=()))

    def note_whole(self, service: ServicePlan) -> None:
        """Record that all steps are complete, since another machine has made the data."""
        steps = tuple(step.hash for step in service.steps)
        self._note(
            service, DataRecord(self.deployment.data_id(service), steps, set_up=True, made=made_of(service), first=first_of(service))
        )

    def note_units(self, service: ServicePlan, before: DataRecord, made: Iterable[str]) -> None:
        """Record the units *made* from the data that *before* describes; making them may have changed the id of the data."""
        found = replace(before, data_id=self.deployment.data_id(service), units=tuple(made))
        self._note(service, found)

    def _note(self, service: ServicePlan, found: DataRecord) -> None:
        self.update(lambda record: replace(record, data={**record.data, service.name: found}))


def recorded(record: Record, service: str, data_id: str) -> DataRecord:
    """Return what *record* contains about the data with the id *data_id*."""
    found = record.data.get(service)
    if found is not None and found.data_id == data_id:
        return found
    began_as = record.snapshots.get(service) if data_id else None
    return DataRecord(data_id, began_as.steps, set_up=True, units=began_as.units) if began_as is not None else DataRecord(data_id)


def changed_seeds(record: Record, deployment: Deployment, services: Iterable[ServicePlan]) -> Iterator[tuple[ServicePlan, str]]:
    """Yield the services whose data was made by other seed steps or initialisation scripts than the current ones, and what has changed."""
    for service in services:
        if service.name not in record.data and service.name not in record.snapshots:
            continue  # no need to query the engine, which may not even have a place for the data yet
        known = recorded(record, service.name, deployment.data_id(service))
        if begun_otherwise(service, known):
            yield service, "what its first start makes (databases, users, extensions, scripts) has changed"
        elif tuple(step.hash for step in service.steps)[: len(known.steps)] != known.steps:
            changed = next((s for s, old in zip(service.steps, known.steps, strict=False) if s.hash != old), None)
            step = f"seed step {changed.number + 1} ({changed.title}, {changed.where})" if changed else ""
            yield service, f"{step} has changed" if changed else "a seed step was removed"


def begun_otherwise(service: ServicePlan, known: DataRecord) -> bool:
    """Return whether the data was made by other initialisation scripts than the current ones."""
    return bool(known.first) and known.first != first_of(service)


def refuse_changed_seeds(record: Record, called: str, deployment: Deployment, services: Iterable[ServicePlan]) -> None:
    """Refuse to mix the results of the current seed steps with data that other steps or initialisation scripts have made.

    Raises:
        UsageError: the seed steps or scripts of a service have changed; the message says which.
    """
    for service, what in changed_seeds(record, deployment, services):
        raise UsageError(
            f"{service.name}: {what} since its data was {'seeded' if service.steps else 'made'}",
            hint=f"`envctl reset {called} {service.name}` seeds it again, `envctl up {record.environment} --fresh` starts with empty data",
        )
