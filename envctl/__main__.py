"""What the command `envctl` starts, and `python -m envctl`."""

import gc
import os
import signal
import sys

from envctl import __version__


def main() -> None:
    # Until there is something to clear away Ctrl-C just ends us: Python's own handler would show what was being imported.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.argv[1:] == ["--version"]:  # before anything is imported: it must feel instant
        try:
            os.write(1, f"envctl {__version__}\n".encode())
        except OSError as error:
            sys.exit(f"envctl: stdout cannot be written: {error.strerror}")
        return
    gc.set_threshold(200_000)  # far above what modules make: looking through them while they are imported takes a tenth of the time
    from envctl import cli

    cli.main()


if __name__ == "__main__":
    main()
