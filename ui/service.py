"""``make service ARGS="…"``: the console as a service of this account, with these arguments; ``--remove`` undoes it.

``python -m ui.service``, from the project's folder. Prints what was done, or a clear word where it can't be.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from backend.console.service import install, remove, unit_text
from backend.errors import ConsoleError
from ui.cli import parse_command_line, terminal_language
from ui.i18n import say, t

APP = Path(__file__).absolute().parents[1] / "app.py"


def main(arguments: Sequence[str]) -> int:
    """0, or 1 where it couldn't be done."""
    language = terminal_language(arguments)
    try:
        if "--remove" in arguments:
            messages = remove(os.environ)
        else:
            parse_command_line(arguments)  # a bad argument ends here, not in the service
            python = Path(sys.prefix) / "bin" / "python"
            messages = install(unit_text(python, APP, arguments, os.environ), os.environ)
    except ConsoleError as error:
        for message in error.messages:
            print(t("cli.error", language, {"text": say(message, language)}), file=sys.stderr)
        return 1
    for message in messages:
        print(say(message, language))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
