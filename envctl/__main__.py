"""What the command `envctl` starts, and `python -m envctl`."""

import signal


def main() -> None:
    # Until there is something to clear away Ctrl-C just ends us: Python's own handler would show what was being imported.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from envctl import cli

    cli.main()


if __name__ == "__main__":
    main()
