"""The settings of a Compose service's server: in variables, in files that variables name, in arguments and in configuration files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any

from envctl.definition.compose_settings import SUFFIXES, setting
from envctl.definition.compose_storage import looks_like_data
from envctl.definition.source import map_texts
from envctl.files.folders import FileRefused
from envctl.files.reading import read_file

LARGEST = 65_536
"""The most bytes of a file that is read for a setting."""
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?-([^{}]*))?\}|(\w+))")
_PRINTED = re.compile(r"""\$\((?:cat[ ]+|<[ ]*)["']?(?P<file>[^\s"'()`]+)["']?[ ]*\)|`cat[ ]+["']?(?P<old>[^\s"'()`]+)["']?[ ]*`""")
"""`$(cat FILE)`, the usual way to pass a secret."""
_UNTOLD = re.compile(r"\$\(|`")
_SHORT = re.compile(r"-\w")
_ASSIGNMENT = re.compile(r"\w+=")
_BEFORE = ("exec", "if", "then", "elif", "else", "while", "until", "do", "{", "!", "time")
"""Shell words that may precede a command."""
SHELLS = ("sh", "bash", "ash", "dash", "zsh", "ksh")


@dataclass
class Given:
    """The settings of a service, which are looked up by place.

    `NAME` is a variable, `--option` an argument, `name=` the rest of an argument that begins with it, `NAME --option` an argument
    in the value of a variable, `@setting` a line of a configuration file that an argument names or a mount provides (`@^setting`:
    the first of several lines), `?NAME` a variable with which the image chooses a value that it does not reveal, and `=x` the
    image's own default.

    Attributes:
        service: the service, as Compose resolves it.
        config: the whole Compose file, as Compose resolves it.
        data: the places of the folders in which the image keeps data.
        unknown: variables whose values the image sets, and which cannot be determined here.
        unread: collects the places whose values exist but cannot be determined: variables that name an unreadable file, and
            words that only the shell in the container can expand.
    """

    service: Mapping[str, Any]
    config: Mapping[str, Any]
    project: Path
    environ: Mapping[str, str]
    data: Sequence[str] = ()
    unknown: Collection[str] = ()
    unread: list[str] = field(default_factory=list)

    def first(self, places: Sequence[str]) -> str | None:
        """Return the value of the first of *places* that has one; None if none has one, or if its value cannot be determined."""
        known = len(self.unread)
        for place in places:
            if place.partition(" ")[0] in self.unknown:
                self.unread.append(place)
                return None  # a later place does not count, as the unknown value overrides it
            if (value := self._at(place)) is not None:
                del self.unread[known:]
                return value
        return None

    def data_folders(self) -> list[str]:
        """Return the folders in which the image keeps data, as paths in the container."""
        return self._folders(self.data)

    def _folders(self, places: Iterable[str]) -> list[str]:
        alone = replace(self, unread=[])
        folders = [place if place.startswith("/") else alone.first([place]) or "" for place in places]
        return [folder for folder in folders if folder.startswith("/")]

    @property
    def _env(self) -> Mapping[str, Any]:
        env: Mapping[str, Any] = _plain(self.service.get("environment") or {})
        return env

    def _at(self, place: str) -> str | None:
        if place.startswith("="):
            return place[1:]
        if place.startswith("?"):
            self.unread += [place[1:]] if self._env.get(place[1:]) else []
            return None
        if place.startswith("@"):
            return self._setting(place[1:])
        if place.startswith("-") or place.endswith("="):
            return self._known(_argument(place, list(self.words())))
        if " " in place:
            variable, _, option = place.partition(" ")
            return _argument(option, _split(str(self._env.get(variable) or "")))
        value = self._env.get(place) or None  # images treat an empty variable as unset, on which `${NAME:-}` relies
        if value is None and (path := self._env.get(f"{place}_FILE")):
            value = self._text_of(str(path))
            if value is None:
                self.unread.append(f"{place}_FILE")
        return value

    def _known(self, value: str | None) -> str | None:
        """Return *value*; None, after a note in `unread`, if only the shell in the container can expand it."""
        if value is None or not self._line[1] or not _UNTOLD.search(value):
            return value
        self.unread.append(value)
        return None

    def _setting(self, name: str) -> str | None:
        told = (word.rpartition("=")[2] for word in self.words())
        files = [*(word for word in told if word.startswith("/")), *self._mounted()]
        texts = (text for path in dict.fromkeys(files) if (text := self._text_of(path)) is not None)
        return next((value for text in texts if (value := setting(text, name)) is not None), None)

    def _mounted(self) -> Iterator[str]:
        """Yield the configuration files that the Compose file mounts into the container, as paths in the container."""
        for volume in _plain(self.service.get("volumes") or []):
            if volume.get("type") == "bind":
                target = PurePosixPath(str(volume.get("target", "")))
                if target.suffix in SUFFIXES:
                    yield str(target)
                elif volume.get("read_only") or not self._is_data(target):
                    yield from self._below(Path(str(volume["source"])), target)
        for given in _plain(self.service.get("configs") or []):
            yield str(PurePosixPath("/", str(given.get("target") or given["source"])))

    def _is_data(self, target: PurePosixPath) -> bool:
        """Return whether an instance has a volume of its own at *target*, so that files in the mounted folder are not used."""
        told = self._folders(place for place in self.data if not place.startswith("@"))  # to look up a setting would call `_mounted` again
        return looks_like_data(str(target)) or any(target.is_relative_to(folder) for folder in told)

    def _below(self, source: Path, target: PurePosixPath) -> Iterator[str]:
        with suppress(OSError):  # a folder that a container has created may be readable for its user only
            if source.is_relative_to(self.project) and source.is_dir():
                yield from (str(target / path.name) for path in sorted(source.iterdir()) if path.suffix in SUFFIXES)

    def words(self) -> Iterator[str]:
        """Yield the words of the command line, also if it is the script of a shell."""
        words, by_shell = self._line
        for word in words:
            parts = _split(_PRINTED.sub(self._printed, word)) if by_shell and " " in word else [word]
            yield from (_VARIABLE.sub(self._variable, part) if by_shell else part for part in parts)

    def programs(self) -> Iterator[str]:
        """Yield the names of the programs that the command line runs, without their folders. Words after an option count as values."""
        words, by_shell = self._line
        run = (program for word in words for program in _run_by_shell(word)) if by_shell else takewhile(_is_no_option, words)
        yield from (program.rpartition("/")[2] for program in run)

    @property
    def _line(self) -> tuple[list[str], bool]:
        """The words of the entry point and the command, and whether a shell interprets them."""
        words = [str(word) for key in ("entrypoint", "command") for word in _plain(self.service.get(key) or [])]
        return words, any(word.rpartition("/")[2] in SHELLS for word in words)

    def _variable(self, found: re.Match[str]) -> str:
        name = found[1] or found[3]
        return f"$({name})" if name in self.unknown else str(self._env.get(name) or found[2] or "")

    def _printed(self, found: re.Match[str]) -> str:
        """Return the text that the `cat` command prints; the command itself if the text is unknown or has characters special to a shell."""
        text = self._text_of(_VARIABLE.sub(self._variable, found["file"] or found["old"]))
        # The command may be inside quotes, and a `$` of the text must not be expanded.
        return found[0] if text is None or set(text) & set("\"'\\$` \n") else text

    def _text_of(self, path: str) -> str | None:
        """Return the content of the file at *path* in the container, without final newlines, which images drop too; None if unknown."""
        for source in self._sources(PurePosixPath(path)):
            try:
                return source if isinstance(source, str) else read_file(source, self.project, largest=LARGEST).decode().rstrip("\n")
            except (FileRefused, OSError, UnicodeDecodeError):
                return None
        return None

    def _sources(self, path: PurePosixPath) -> Iterator[Path | str]:
        for what, folder in (("secrets", "/run/secrets"), ("configs", "/")):
            for given in self.service.get(what) or []:
                if PurePosixPath(folder, str(given.get("target") or given["source"])) == path:
                    yield from self._shared(_plain(self.config.get(what, {}).get(given["source"]) or {}))
        for volume in _plain(self.service.get("volumes") or []):
            target = PurePosixPath(str(volume.get("target", "")))
            if volume.get("type") == "bind" and path.is_relative_to(target):
                yield Path(str(volume["source"]), path.relative_to(target))

    def _shared(self, given: Mapping[str, Any]) -> Iterator[Path | str]:
        if given.get("file"):
            yield Path(str(given["file"]))
        elif given.get("environment") in self.environ:
            yield self.environ[str(given["environment"])].rstrip("\n")
        elif given.get("content") is not None:
            yield str(given["content"]).rstrip("\n")


def _argument(option: str, words: Sequence[str]) -> str | None:
    attached = option if option.endswith("=") else f"{option}="
    for index, word in enumerate(words):
        if word == option and index + 1 < len(words):
            return words[index + 1]
        if word.startswith(attached):
            return word[len(attached) :]
        if _SHORT.fullmatch(option) and word.startswith(option) and word[2:].isdecimal():
            return word[2:]
    return None


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _is_no_option(word: str) -> bool:
    return not word.startswith("-") or word == "--"


def _run_by_shell(script: str) -> Iterator[str]:
    """Yield the first word of each command in *script*, after any variable assignments."""
    lexer = shlex.shlex(script.replace("\n", ";"), posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        tokens = list(lexer)
    except ValueError:
        tokens = script.split()
    begins = True
    for token in tokens:
        assigns = begins and _ASSIGNMENT.match(token) is not None
        if begins and not assigns and token not in _BEFORE and _is_no_option(token):
            yield token
        begins = assigns or token in _BEFORE or not token.strip("();<>|&")


def _plain(value: Any) -> Any:
    return map_texts(lambda text: text.replace("$$", "$"), value)
