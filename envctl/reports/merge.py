"""The results of one run, merged from all of its folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from envctl.errors import DefinitionError, Problem, UsageError
from envctl.files.folders import FileRefused
from envctl.files.reading import open_file
from envctl.reports.evidence import LARGEST_LOGS, Surroundings, surroundings
from envctl.reports.history import Runs, flaky, with_run
from envctl.reports.junit import Case, NotJUnit, cases_of

LARGEST = 256 << 20
"""The maximum size of a result file in bytes."""
MOST_TESTS, MOST_TEXT = 500_000, 50_000_000
"""The maximum number of tests in a run, and the maximum number of characters that are kept of all failures together."""


@dataclass(frozen=True, slots=True)
class Result:
    """A test and its folder. The same test in two folders counts as two tests, since a matrix runs the same tests in each folder."""

    name: str
    case: Case
    around: Surroundings
    environments: bool
    """Whether the test failed because of the environment, not the code."""

    @property
    def red(self) -> bool:
        """Whether the test failed."""
        return self.case.outcome == "failed"


@dataclass(frozen=True)
class Merged:
    """The merged results of a run.

    Attributes:
        results: the results in the order of the files.
        around: the folders that describe an environment.
        left_out: the files that are not results, with the reason.
        problems: the files that are damaged; results before the damage count.
        runs: the tests with their last runs, including this run.
        again: the tests that were both red and green in this run.
    """

    results: Sequence[Result]
    around: Sequence[Surroundings]
    left_out: Sequence[str]
    problems: Sequence[Problem]
    runs: Runs
    again: frozenset[str]

    @property
    def flaky(self) -> list[str]:
        """The names of the flaky tests, sorted."""
        return sorted({result.name for result in self.results if result.name in self.again or flaky(self.runs.get(result.name, ""))})


def merge(places: Sequence[Path], before: Runs) -> Merged:
    """Return the results below *places*, which are folders or files, after the runs *before*.

    Raises:
        UsageError: a place does not exist, or has no results.
        DefinitionError: nothing could be read.
    """
    gathered = _Gathered([], {}, [], [], [MOST_TEXT])
    files = {place: _files(place) for place in places}
    room = [LARGEST_LOGS]
    for folder in (folder for place in places for folder in _folders(place)):
        with _noted(gathered):
            gathered.around[folder] = surroundings(folder, room)
    for place in places:
        _gather(gathered, place, files[place], many=sum(map(bool, files.values())) > 1)
    results, around, left_out, problems, _ = gathered
    if problems and not results:
        raise DefinitionError(problems)
    said = [each for each in around.values() if each.status]
    return Merged(results, said, left_out, problems, with_run(before, _green(results)), frozenset(_again(results)))


class _Gathered(NamedTuple):
    results: list[Result]
    around: dict[Path, Surroundings]
    left_out: list[str]
    problems: list[Problem]
    room: list[int]
    """A list with one number: the characters of failures that may still be kept."""


def _gather(into: _Gathered, place: Path, files: Sequence[Path], many: bool) -> None:
    before = len(into.left_out)
    for path in files:
        with _noted(into, path):
            for result in _results(path, place, into.around, many):
                _keep(into, result, path)
    told = any(each.status for each in into.around.values() if each.folder.is_relative_to(place))
    if len(into.left_out) - before == len(files) and not told and not into.problems:
        hint = "; ".join(into.left_out[before:]) or "name the folder of `--report DIR`, or where your tests write theirs"
        raise UsageError(f"{place}: there are no JUnit files here", hint=hint)


def _keep(into: _Gathered, result: Result, path: Path) -> None:
    """Add the result. If the texts of all failures exceed `MOST_TEXT`, keep only the beginning of the message.

    Raises:
        DefinitionError: the run has more tests than `MOST_TESTS`.
    """
    if len(into.results) >= MOST_TESTS:
        raise DefinitionError([Problem(path, 1, "", f"a run of more than {MOST_TESTS:,} tests is not read to its end", "merge its parts")])
    case = result.case
    into.room[0] -= len(case.message) + len(case.text) + len(case.evidence)
    if into.room[0] < 0:
        result = replace(result, case=replace(case, message=case.message[:200], text="", evidence=""))
    into.results.append(result)


@contextmanager
def _noted(into: _Gathered, path: Path | None = None) -> Iterator[None]:
    """Turn errors about one file into notes, so that the results of other files count."""
    try:
        yield
    except DefinitionError as error:
        into.problems.extend(error.problems)
    except NotJUnit as error:
        into.left_out.append(f"{path}: its root is <{error}>, not <testsuites>")
    except FileRefused as error:
        into.left_out.append(error.message)
    except OSError as error:
        into.left_out.append(f"{error.filename}: {error.strerror}")


def _folders(place: Path) -> list[Path]:
    below = [path.parent for path in sorted(place.rglob("status.json"))] if place.is_dir() else []
    return [place if place.is_dir() else place.parent, *below]


def _files(place: Path) -> list[Path]:
    """Return the result files of *place*.

    Raises:
        UsageError: the place does not exist.
    """
    if not place.exists():
        raise UsageError(f"{place}: there is no such file or folder")
    return sorted(path for path in place.rglob("*.xml") if path.is_file()) if place.is_dir() else [place]


def _results(path: Path, place: Path, around: dict[Path, Surroundings], many: bool) -> Iterator[Result]:
    label, near = f"{place.name or place}: " if many else "", _nearest(path, around)
    with open_file(path, path.parent if place.is_file() else place, largest=LARGEST) as stream:
        for case in cases_of(stream, path):
            yield Result(label + case.id, case, near, case.outcome == "failed" and near.at_fault(case))


def _nearest(path: Path, around: dict[Path, Surroundings]) -> Surroundings:
    """Return the environment of the nearest folder above *path*; if no folder has one, the only environment of the run."""
    said = {folder: each for folder, each in around.items() if each.status}
    near = next((said[folder] for folder in path.parents if folder in said), None)
    return near or (next(iter(said.values())) if len(said) == 1 else Surroundings(path.parent))


def _green(results: Sequence[Result]) -> dict[str, bool]:
    """Return the tests and whether they passed, without tests that did not run or that failed because of the environment."""
    telling = [result for result in results if result.case.outcome != "skipped" and not result.environments]
    return {name: False not in outcomes for name, outcomes in _outcomes(telling).items()}


def _again(results: Sequence[Result]) -> Iterator[str]:
    yield from (result.name for result in results if result.case.retried)
    telling = [result for result in results if result.case.outcome != "skipped" and not result.environments]
    yield from (name for name, outcomes in _outcomes(telling).items() if len(set(outcomes)) > 1)


def _outcomes(results: Sequence[Result]) -> dict[str, list[bool]]:
    found: dict[str, list[bool]] = {}
    for result in results:
        found.setdefault(result.name, []).append(not result.red)
    return found
