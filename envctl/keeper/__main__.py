"""Start the keeper (`python -I -S FOLDER CONFIG.json`) or its supervisor (`python -I -S FOLDER --supervisor DESCRIPTOR`)."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the program that the command line names."""
    folder = os.path.dirname(os.path.abspath(__file__))
    # Python puts this folder first on sys.path, where its modules would be top-level ones. The folder of the package goes last, so
    # that nothing beside the package hides a module of the standard library.
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
