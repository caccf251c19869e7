"""The programs of an environment, as the words that begin their command lines."""

from backend.machine.machine import Environment

Program = tuple[str, ...]


def lmdeploy(environment: Environment) -> Program:
    """``lmdeploy`` by its full path; through the environment's Python where there is no such script."""
    return _program(environment, "lmdeploy", "lmdeploy")


def transformers(environment: Environment) -> Program:
    """``transformers`` by its full path, likewise."""
    return _program(environment, "transformers", "transformers.cli.transformers")


def _program(environment: Environment, script: str, module: str) -> Program:
    path = environment.python.parent / script
    return (str(path),) if path.exists() else (str(environment.python), "-m", module)
