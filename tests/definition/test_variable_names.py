from __future__ import annotations

import pytest

from envctl.definition.variable_names import SERVICE_NAME, is_output, sourced, wrong_output


@pytest.mark.parametrize(
    "name", ["DATABASE_URL", "a", "_", "LDAP_URL", "GIT_URL", "ENVIRONMENT", "DOCKER_HOST", "PYTHONUNBUFFERED", "HOMEPAGE"]
)
def test_an_output(name: str) -> None:
    assert wrong_output(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "LD_PRELOAD",
        "MAKEFILES",
        "npm_config_script_shell",
        "ERL_AFLAGS",
        "KUBECONFIG",
        "LD_LIBRARY_PATH",
        "LD_AUDIT",
        "DYLD_INSERT_LIBRARIES",
        "BASH_ENV",
        "ENV",
        "IFS",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "PYTHONHOME",
        "NODE_OPTIONS",
        "PERL5OPT",
        "RUBYOPT",
        "JAVA_TOOL_OPTIONS",
        "GIT_SSH_COMMAND",
        "PROMPT_COMMAND",
        "SHELLOPTS",
        "HOME",
        "XDG_CONFIG_HOME",
        "ENVCTL_KEEPER",
    ],
)
def test_a_name_that_steers(name: str) -> None:
    assert "would change how every command" in wrong_output(name)
    assert not is_output(name)
    assert SERVICE_NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["", "1A", "a-b", "a.b", "A B", "A=B", "x;id;y", "$(id)", "a\n", "a\0", "Ä", "BASH_FUNC_ls%%"])
def test_no_shell_name(name: str) -> None:
    assert "is not a valid name" in wrong_output(name)
    assert bool(SERVICE_NAME.fullmatch(name)) is (name in ("a-b", "a.b"))


def test_what_a_shell_takes_up() -> None:
    values = {"A": "1", "PATH": "2", "discovery.type": "3", "ENVCTL_NAME": "4"}
    assert sourced(values, service=True) == {"A": "1"}
    assert sourced(values, service=False) == {"A": "1", "PATH": "2", "ENVCTL_NAME": "4"}
