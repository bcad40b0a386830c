"""Starts the keeper (`python -I -S FOLDER CONFIG.json`), or its supervisor (`--supervisor DESCRIPTOR`)."""

from __future__ import annotations

import os
import sys


def main() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))
    # The folder itself would offer its modules as top-level ones; what lies beside the package must not hide the standard library.
    sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) != os.path.realpath(folder)]
    sys.path.append(os.path.dirname(os.path.dirname(folder)))
    if sys.argv[1] == "--supervisor":
        from envctl.keeper.supervisor import main as supervise

        supervise(int(sys.argv[2]))
    else:
        from envctl.keeper.keeper import main as keep

        keep(sys.argv[1])


if __name__ == "__main__":
    main()
