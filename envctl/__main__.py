"""The entry point of the command `envctl` and of `python -m envctl`."""

import gc
import os
import signal
import sys

from envctl import __version__


def main() -> None:
    """Run the command line."""
    # As long as there is nothing to clean up, Ctrl-C simply ends the process: Python's own handler would print a traceback of imports.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.argv[1:] == ["--version"]:  # before anything is imported: it must feel instant
        try:
            os.write(1, f"envctl {__version__}\n".encode())
        except OSError as error:
            sys.exit(f"envctl: stdout cannot be written: {error.strerror}")
        return
    gc.set_threshold(200_000)  # far more than the modules create: collecting garbage during imports costs a tenth of the time
    from envctl import cli

    cli.main()


if __name__ == "__main__":
    main()
