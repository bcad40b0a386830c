"""Request patterns: the checks that a request must pass for a mapping to match."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from ..http.message import Request
from .matchers import Matcher, equal_to, matches, parse_matcher
from .parsing import Problems, Refusal, as_object, as_settings, as_text, key_problems, kind_of, unknown

Values = Callable[[Request], "Sequence[str | None]"]
"""Returns the values of one part of a request; none if the request does not have the part."""
Parse = Callable[[object], "list[Check]"]
"""Returns the checks for the value of one key of a pattern; raises Refusal."""

_FIELD = r"\{([A-Za-z]\w*)\}"
_URL_KEYS = ("url", "urlPath", "urlPattern", "urlPathPattern", "urlPathTemplate")
_UNSUPPORTED = ("scheme", "host", "port", "clientIp", "formParameters", "multipartPatterns", "customMatcher")


class Check(NamedTuple):
    """A check of one part of a request. If the part has several values, one of them has to pass.

    Attributes:
        part: the name of the part, for messages.
        weight: the importance of the part for finding the closest mapping.
    """

    part: str
    matcher: Matcher
    values: Values
    weight: int = 1

    def passes(self, request: Request) -> bool:
        """Return whether a request passes this check."""
        return any(map(self.matcher.accepts, self.values(request) or (None,)))


class Pattern(NamedTuple):
    """A request pattern. Without checks, it matches every request."""

    checks: tuple[Check, ...] = ()

    def matches(self, request: Request) -> bool:
        """Return whether a request passes all checks."""
        return all(check.passes(request) for check in self.checks)


def parse_pattern(value: object) -> Pattern:
    """Parse the `request` of a mapping. A missing one matches every request.

    Raises:
        Refusal: with all mistakes in the pattern.
    """
    spec = as_settings(value)
    problems = Problems(key_problems(spec, (*_PARSERS, "pathParameters"), _UNSUPPORTED, _URL_KEYS))
    checks: list[Check] = []
    for key, parse in _PARSERS.items():
        if key in spec:
            with problems.at(key):
                checks += parse(spec[key])
    with problems.at("pathParameters"):
        checks += _path_parameters(spec)
    problems.settle()
    return Pattern(tuple(checks))


def _method(value: object) -> list[Check]:
    method = as_text(value)
    return [] if method == "ANY" else [Check("method", equal_to(method), lambda request: (request.method,), weight=3)]


def _url(matcher: Callable[[str], Matcher]) -> Parse:
    return lambda value: [Check("url", matcher(as_text(value)), lambda request: (request.url,), weight=10)]


def _path(matcher: Callable[[str], Matcher]) -> Parse:
    return lambda value: [Check("urlPath", matcher(as_text(value)), lambda request: (request.path,), weight=10)]


def _template(template: str) -> Matcher:
    pattern = _template_pattern(template)
    return Matcher("template", template, lambda path: path is not None and pattern.fullmatch(path) is not None)


def _template_pattern(template: str) -> re.Pattern[str]:
    """Compile a path template. In it, `{name}` stands for one segment, and `**` at the end for the rest of the path."""
    body, rest = (template[:-2], ".*") if template.endswith("**") else (template, "")
    names = re.findall(_FIELD, body)
    if len(set(names)) < len(names) or set("{}*") & set(re.sub(_FIELD, "", body)):
        raise Refusal(f"{template!r}: must be made of text, {{name}}s that all differ, and perhaps ** at the end")
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(body)) + rest)


def _path_parameters(spec: Mapping[str, object]) -> list[Check]:
    if not spec.get("pathParameters"):
        return []
    template = spec.get("urlPathTemplate")
    if not isinstance(template, str):
        raise Refusal("needs a urlPathTemplate")
    try:
        pattern = _template_pattern(template)
    except Refusal:
        return []  # the mistake is reported for `urlPathTemplate`

    def values(name: str, request: Request) -> Sequence[str]:
        found = pattern.fullmatch(request.path)
        return (found[name],) if found else ()

    return _named_checks("pathParameters", values, spec["pathParameters"], pattern.groupindex)


def _named(part: str, values: Callable[[str, Request], Sequence[str]]) -> Parse:
    return lambda value: _named_checks(part, values, value)


def _named_checks(
    part: str, values: Callable[[str, Request], Sequence[str]], value: object, known: Mapping[str, object] | None = None
) -> list[Check]:
    problems = Problems()
    checks: list[Check] = []
    for name, spec in as_object(value).items():
        with problems.at(name):
            if known is not None and name not in known:
                raise Refusal(unknown("parameter", name, known))
            checks.append(Check(f"{part}.{name}", parse_matcher(spec), partial(values, name)))
    problems.settle()
    return checks


def _basic_auth(value: object) -> list[Check]:
    spec = as_object(value)
    if spec.keys() != {"username", "password"}:
        raise Refusal("must be an object of username and password")
    user, password = as_text(spec["username"]), as_text(spec["password"])
    token = base64.b64encode(f"{user}:{password}".encode()).decode()

    def accepts(header: str | None) -> bool:
        scheme, _, given = (header or "").partition(" ")
        return scheme.lower() == "basic" and given.strip() == token

    return [Check("basicAuth", Matcher("user", user, accepts), lambda request: request.header("Authorization"))]


def _body_patterns(value: object) -> list[Check]:
    if not isinstance(value, list):
        raise Refusal(f"must be a list, not {kind_of(value)}")
    problems = Problems()
    checks: list[Check] = []
    for index, spec in enumerate(value):
        with problems.at(f"[{index}]"):
            checks.append(Check("body", parse_matcher(spec), lambda request: (request.text,)))
    problems.settle()
    return checks


# Checks run in this order: cheap ones that rule out most requests come first.
_PARSERS: dict[str, Parse] = {
    "method": _method,
    "url": _url(equal_to),
    "urlPath": _path(equal_to),
    "urlPattern": _url(matches),
    "urlPathPattern": _path(matches),
    "urlPathTemplate": _path(_template),
    "headers": _named("headers", lambda name, request: request.header(name)),
    "queryParameters": _named("queryParameters", lambda name, request: request.query.get(name, ())),
    "cookies": _named("cookies", lambda name, request: request.cookies.get(name, ())),
    "basicAuth": _basic_auth,
    "basicAuthCredentials": _basic_auth,
    "bodyPatterns": _body_patterns,
}
