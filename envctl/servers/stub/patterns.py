"""A request pattern: the checks that a request passes or fails."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..http.message import Request
from .matchers import Matcher, equal_to, full_match, parse_matcher
from .refusal import Problems, Refusal, as_object, as_settings, as_text, kind_of, unknown

Values = Callable[[Request], "Sequence[str | None]"]

_FIELD = r"\{([A-Za-z]\w*)\}"
_URL_KEYS = ("url", "urlPath", "urlPattern", "urlPathPattern", "urlPathTemplate")
_UNSUPPORTED = ("scheme", "host", "port", "clientIp", "formParameters", "multipartPatterns", "customMatcher")


@dataclass(frozen=True)
class Check:
    """One part of a request and what is expected of it; of several values one is enough."""

    part: str
    matcher: Matcher
    values: Values
    weight: int = 1

    def passes(self, request: Request) -> bool:
        """Whether the request has what is expected."""
        return any(map(self.matcher.accepts, self.values(request) or (None,)))


@dataclass(frozen=True)
class Pattern:
    """All the checks of a request pattern."""

    checks: tuple[Check, ...] = ()

    def matches(self, request: Request) -> bool:
        """Whether the request passes all of them."""
        return all(check.passes(request) for check in self.checks)


def parse_pattern(value: object) -> Pattern:
    """The pattern that the `request` of a mapping describes; none at all takes every request."""
    spec = as_settings(value)
    problems = Problems()
    checks: list[Check] = []
    for key, parse in _PARSERS.items():
        if key in spec:
            with problems.at(key):
                checks += parse(spec[key])
    with problems.at("pathParameters"):
        checks += _path_parameters(spec)
    for problem in _misfits(spec):
        problems.note(problem)
    problems.settle()
    return Pattern(tuple(checks))


def _misfits(spec: Mapping[str, object]) -> list[str]:
    known = (*_PARSERS, "pathParameters")
    urls = [key for key in _URL_KEYS if key in spec]
    found = [f"only one of {', '.join(urls)} can hold"] if len(urls) > 1 else []
    for key in spec.keys() - set(known):
        if key not in _UNSUPPORTED:
            found.append(unknown("key", key, known))
        elif spec[key]:
            found.append(f"{key!r} is not supported; supported: {', '.join(sorted(known))}")
    return found


def _method(value: object) -> list[Check]:
    method = as_text(value)
    if method == "ANY":
        return []
    return [Check("method", equal_to(method), lambda request: (request.method,), weight=3)]


def _url(value: object) -> list[Check]:
    return [_url_check("url", equal_to(as_text(value)))]


def _url_path(value: object) -> list[Check]:
    return [_path_check("urlPath", equal_to(as_text(value)))]


def _url_pattern(value: object) -> list[Check]:
    return [_url_check("url", full_match("matches", as_text(value)))]


def _url_path_pattern(value: object) -> list[Check]:
    return [_path_check("urlPath", full_match("matches", as_text(value)))]


def _url_path_template(value: object) -> list[Check]:
    template = as_text(value)
    pattern = _template_pattern(template)
    matcher = Matcher("template", template, lambda path: path is not None and pattern.fullmatch(path) is not None)
    return [_path_check("urlPath", matcher)]


def _url_check(part: str, matcher: Matcher) -> Check:
    return Check(part, matcher, lambda request: (request.url,), weight=10)


def _path_check(part: str, matcher: Matcher) -> Check:
    return Check(part, matcher, lambda request: (request.path,), weight=10)


def _template_pattern(template: str) -> re.Pattern[str]:
    """The regular expression of a path template: `{name}` is one segment, `**` at the end all the rest."""
    body, rest = (template[:-2], ".*") if template.endswith("**") else (template, "")
    names = re.findall(_FIELD, body)
    if len(set(names)) < len(names) or set("{}*") & set(re.sub(_FIELD, "", body)):
        raise Refusal(f"{template!r}: must be made of text, {{name}}s that all differ, and perhaps ** at the end")
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(body)) + rest)


def _path_parameters(spec: Mapping[str, object]) -> list[Check]:
    if not spec.get("pathParameters"):
        return []
    if not isinstance(spec.get("urlPathTemplate"), str):
        raise Refusal("needs an urlPathTemplate")
    try:
        pattern = _template_pattern(str(spec["urlPathTemplate"]))
    except Refusal:
        return []  # noted with the template itself
    return _named_checks("pathParameters", spec["pathParameters"], _from_path(pattern), pattern.groupindex)


def _from_path(pattern: re.Pattern[str]) -> Callable[[str], Values]:
    def values_of(name: str) -> Values:
        def values(request: Request) -> Sequence[str | None]:
            found = pattern.fullmatch(request.path)
            return (found[name],) if found else ()

        return values

    return values_of


def _headers(value: object) -> list[Check]:
    return _named_checks("headers", value, lambda name: lambda request: request.header(name))


def _query(value: object) -> list[Check]:
    return _named_checks("queryParameters", value, lambda name: lambda request: request.query.get(name, ()))


def _cookies(value: object) -> list[Check]:
    return _named_checks("cookies", value, lambda name: lambda request: request.cookies.get(name, ()))


def _named_checks(part: str, value: object, values_of: Callable[[str], Values], known: Mapping[str, object] | None = None) -> list[Check]:
    problems = Problems()
    checks: list[Check] = []
    for name, spec in as_object(value).items():
        with problems.at(name):
            if known is not None and name not in known:
                raise Refusal(unknown("parameter", name, known))
            checks.append(Check(f"{part}.{name}", parse_matcher(spec), values_of(name)))
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


# In the order in which they are asked: what is cheap and tells most apart comes first.
_PARSERS: dict[str, Callable[[object], list[Check]]] = {
    "method": _method,
    "url": _url,
    "urlPath": _url_path,
    "urlPattern": _url_pattern,
    "urlPathPattern": _url_path_pattern,
    "urlPathTemplate": _url_path_template,
    "headers": _headers,
    "queryParameters": _query,
    "cookies": _cookies,
    "basicAuth": _basic_auth,
    "basicAuthCredentials": _basic_auth,
    "bodyPatterns": _body_patterns,
}
