"""A command as a value: what is shown is what runs."""

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SecretFile:
    """An argument whose value is in a file of mode 0600 (an API key). It never stands in argv, a log or a page."""

    path: Path


Argument = str | SecretFile


@dataclass(frozen=True)
class CommandSpec:
    """One command: program and arguments, what it adds to the environment, where it runs.

    ``argv[0]`` is an absolute path or a name to find on PATH. ``env`` is added to the console's environment; a value of
    None removes the name. ``secret_entry`` is set where argv holds a SecretFile: the program that is started in
    argv[0]'s place, with ``@PATH`` arguments for the secrets, and that reads them itself, so that no process list shows
    them (backend/engines/children/lmdeploy_entry.py).
    """

    argv: tuple[Argument, ...]
    env: tuple[tuple[str, str | None], ...] = ()
    cwd: Path | None = None
    secret_entry: tuple[str, ...] = ()

    def preview(self) -> str:
        """The command as one line for a POSIX shell; secrets are read from their files by the shell."""
        words = []
        if self.cwd is not None:
            words.append(f"cd {shlex.quote(str(self.cwd))} &&")
        unset = [name for name, value in self.env if value is None]
        if unset:
            words.append("env " + " ".join(f"-u {shlex.quote(name)}" for name in unset))
        words += [f"{name}={shlex.quote(value)}" for name, value in self.env if value is not None]
        for argument in self.argv:
            if isinstance(argument, SecretFile):
                words.append(f'"$(cat {shlex.quote(str(argument.path))})"')
            else:
                words.append(shlex.quote(argument))
        return " ".join(words)

    def launch_argv(self) -> list[str]:
        """The argv that is started: as shown, but for secrets, which ``secret_entry`` reads from their files."""
        if not any(isinstance(argument, SecretFile) for argument in self.argv):
            return [str(argument) for argument in self.argv]
        if not self.secret_entry:
            raise ValueError("a command with a SecretFile needs a secret_entry")
        rest = (f"@{a.path}" if isinstance(a, SecretFile) else a for a in self.argv[1:])
        return [*self.secret_entry, *rest]
