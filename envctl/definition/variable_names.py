"""Names of environment variables: which ones are valid, and which ones a definition may not set for the tests and the user's shell.

`outputs` reach the tests, a user's shell (`eval "$(envctl env shop --format shell)"`) and the later steps of a CI job.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
SERVICE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./:-]*", re.ASCII)
"""The name of a service's variable. Servers have settings such as `discovery.type`; none of these characters is special to a shell."""

STEERING = {
    "PATH", "HOME", "SHELL", "ENV", "BASH_ENV", "BASHOPTS", "SHELLOPTS", "IFS", "CDPATH", "FPATH", "GLOBIGNORE", "PROMPT_COMMAND",
    "PS0", "PS1", "PS2", "PS4", "ZDOTDIR", "PWD", "OLDPWD", "TMPDIR", "EDITOR", "VISUAL", "PAGER", "BROWSER", "LESSOPEN", "LESSCLOSE",
    "MANPAGER", "GCONV_PATH", "GLIBC_TUNABLES", "HOSTALIASES", "LOCPATH", "NLSPATH", "RES_OPTIONS", "OPENSSL_CONF", "OPENSSL_ENGINES",
    "OPENSSL_MODULES", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONBREAKPOINT", "PYTHONUSERBASE",
    "PYTHONEXECUTABLE", "PYTHONPLATLIBDIR", "PYTHONPYCACHEPREFIX", "PYTHONWARNINGS", "NODE_OPTIONS", "NODE_PATH",
    "NODE_REPL_EXTERNAL_MODULE", "PERL5OPT", "PERL5LIB", "PERL5DB", "PERLLIB", "RUBYOPT", "RUBYLIB", "GEM_HOME", "GEM_PATH",
    "BUNDLE_GEMFILE", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH", "PHPRC", "PHP_INI_SCAN_DIR", "LUA_INIT",
    "LUA_PATH", "LUA_CPATH", "DOTNET_STARTUP_HOOKS", "RUSTC_WRAPPER", "GOFLAGS", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_ASKPASS",
    "GIT_EDITOR", "GIT_SEQUENCE_EDITOR", "GIT_PAGER", "GIT_EXTERNAL_DIFF", "GIT_PROXY_COMMAND", "GIT_EXEC_PATH", "GIT_TEMPLATE_DIR",
    "GIT_DIR", "GIT_WORK_TREE", "GIT_CONFIG", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS",
    "SSH_ASKPASS", "SUDO_ASKPASS", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STATE",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "MAKEFLAGS", "MAKEFILES", "MAVEN_OPTS", "MAVEN_ARGS", "GRADLE_OPTS", "GRADLE_USER_HOME", "RUSTC",
    "RUSTDOC", "RUSTFLAGS", "CARGO_HOME", "GOROOT", "GOENV", "GOTOOLCHAIN", "ERL_FLAGS", "ERL_AFLAGS", "ERL_ZFLAGS", "ERL_LIBS",
    "ELIXIR_ERL_OPTIONS", "R_PROFILE", "R_PROFILE_USER", "R_ENVIRON", "R_ENVIRON_USER", "JULIA_LOAD_PATH", "BUN_OPTIONS", "PSQLRC",
    "INPUTRC", "VIMINIT", "EXINIT", "PYTEST_PLUGINS", "DOCKER_CONFIG", "KUBECONFIG", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
}  # fmt: skip
"""Variables that change how every command runs: which code it loads first, where it looks for programs, and which hooks it runs."""
STEERING_PREFIXES = (
    "LD_", "DYLD_", "CORECLR_", "COR_", "XDG_", "ENVCTL_", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_", "npm_config_", "NPM_CONFIG_",
    "CARGO_BUILD_", "CARGO_TARGET_", "ACTIONS_", "RUNNER_",
)  # fmt: skip
"""Prefixes of such variables: of the loader, .NET's profilers, configuration folders, envctl, package managers and CI runners."""


def steers(name: str) -> bool:
    """Return whether a variable called *name* changes how every command runs."""
    return name in STEERING or name.startswith(STEERING_PREFIXES)


def is_output(name: str) -> bool:
    """Return whether a default output (`<SERVICE>_<PROPERTY>`) can be called *name*."""
    return re.fullmatch(r"[A-Z0-9_]+", name) is not None and not steers(name)


def sourced(values: Mapping[str, str], service: bool) -> dict[str, str]:
    """Return the *values* that may be written for a shell or a CI runner, which are those with valid names.

    Args:
        service: whether *values* are a service's own variables; those that change how every command runs are then left out.
    """
    return {name: value for name, value in values.items() if SHELL_NAME.fullmatch(name) and not (service and steers(name))}


def wrong_output(name: str) -> str:
    """Return why *name* cannot be the name of an output; an empty text if it can."""
    if not SHELL_NAME.fullmatch(name):
        return f"'{name}' is not a valid name for a shell variable"
    return f"'{name}' would change how every command of the tests and of a user's shell runs" if steers(name) else ""
