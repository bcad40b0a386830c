"""The expiry of instances. On a shared cluster every instance expires; `[preview]` of envctl.toml sets when."""

from __future__ import annotations

from dataclasses import dataclass, field

from envctl.definition.amounts import parse_duration
from envctl.engines.registry import traits
from envctl.errors import UsageError
from envctl.instance.record import now
from envctl.session import Session


def _key(standard: str, example: str) -> str:
    found: str = field(default=standard, metadata={"example": example})
    return found


@dataclass(frozen=True)
class Previews:
    """The table `[preview]`: settings for instances on clusters. The lifetimes are texts such as `24h`."""

    ttl: str = _key("24h", 'ttl = "24h"')
    """The lifetime if neither the command nor the definition sets one."""
    max: str = _key("7d", 'max = "7d"')
    """The maximum lifetime."""
    untrusted: str = _key("4h", 'untrusted = "4h"')
    """The maximum lifetime of instances with `--untrusted`."""
    locks: str = _key("envctl-system", 'locks = "envctl-system"')
    """The namespace that contains the locks of pull requests."""

    @classmethod
    def of(cls, session: Session) -> Previews:
        """Return the settings of the session.

        Raises:
            DefinitionError: the table in envctl.toml is malformed.
        """
        return cls(**session.settings.table("preview", cls))

    def seconds(self, key: str) -> float:
        """Return the lifetime *key* in seconds.

        Raises:
            UsageError: the value is not a positive duration.
        """
        text = getattr(self, key)
        try:
            found = parse_duration(text)
        except ValueError as error:
            raise UsageError(f"envctl.toml: preview.{key}: {error}", hint='like "24h", "7d"') from None
        if found <= 0:
            raise UsageError(f"envctl.toml: preview.{key} = {text}: not a lifetime", hint='like "24h", "7d"')
        return found


def expiry(session: Session, engine: str, asked: float | None, untrusted: bool = False) -> str | None:
    """Return the time at which an instance on *engine* expires, or None if it never expires.

    Args:
        asked: the requested lifetime in seconds from now; None if neither the command nor the definition sets one.
        untrusted: the definition is untrusted: *asked* is limited to `untrusted` of `[preview]`.

    Raises:
        UsageError: *asked* is longer than the project allows on clusters.
    """
    if not traits(engine).shares_namespaces:
        return now(asked) if asked else None
    previews = Previews.of(session)
    most = previews.seconds("max")
    if untrusted:
        return now(min(asked or most, previews.seconds("untrusted"), most))
    if asked and asked > most:
        hint = f"at most {previews.max}, with `--ttl` or `ttl:`; `max` in [preview] of envctl.toml allows more"
        raise UsageError(f"{asked / 3600:g} h is longer than an instance may live on a cluster", hint=hint)
    return now(asked or min(previews.seconds("ttl"), most))
