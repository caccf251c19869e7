"""app.py on a trace instead of this machine's readings: ``python replay_console.py TRACE app.py [arguments]``."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import app
import backend.services
from tests.support.traces import TraceSource


def main() -> int:
    """Runs the console on the trace."""
    trace = Path(sys.argv[1])

    def replayed(*_: Any, **__: Any) -> TraceSource:
        return TraceSource(trace)

    # What builds the services looks the name up in its own module.
    vars(backend.services)["LiveSource"] = replayed
    return app.main(sys.argv[3:])


if __name__ == "__main__":
    sys.exit(main())
