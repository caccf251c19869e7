"""Which of this machine's environments a server or a job runs in. Pure."""

from backend.errors import InvalidInput, Message
from backend.machine.fit import FIELD, gpu_problem
from backend.machine.machine import Environment, Machine

KINDS = ("console", "found", "internlm2")  # the console's own before others


def choose(
    machine: Machine, chosen: str, *, needs: str = "lmdeploy", on_gpu: bool = False, transformers4: bool = False
) -> Environment | None:
    """The environment whose id is ``chosen``; where that is "", the best one, None where none will do.

    It must have the package that ``needs`` names ("lmdeploy", "transformers"). The best has no problem of its own and,
    ``on_gpu``, fits the GPUs' driver; among those the console's comes first. ``transformers4``: with that version
    before all else. Where none is usable the first is given all the same, so that its command can be seen.

    Raises InvalidInput for a chosen one that isn't there.
    """
    if chosen:
        for environment in machine.environments:
            if environment.id == chosen:
                return environment
        raise InvalidInput(Message("environments.unknown", {"environment": chosen}, FIELD))
    candidates = [environment for environment in machine.environments if getattr(environment, needs)]

    def rank(environment: Environment) -> tuple[bool, bool, int]:
        wrong = transformers4 and not environment.transformers.startswith("4.")
        unusable = environment.problem is not None or (on_gpu and gpu_problem(environment, machine) is not None)
        kind = KINDS.index(environment.kind) if environment.kind in KINDS else len(KINDS)
        return wrong, unusable, kind

    return min(candidates, key=rank, default=None)
