"""What is measured of a finished result: the error of its weights, and the perplexity before and after.

Each is a run of its own, so that the model can be used as soon as it is there.
"""

import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend import disk
from backend.engines import ENGINES
from backend.engines.base import ServeConfig
from backend.engines.choice import choose_environment
from backend.errors import InvalidInput, Message
from backend.machine.machine import Environment, Machine
from backend.models.checkpoint import ModelInfo, read_model
from backend.processes.command import CommandSpec
from backend.processes.ports import free_port
from backend.quantization import QUANT_METHODS
from backend.quantization.children.worker import RECORD
from backend.quantization.job import Job, JobResult, LayerError, Perplexity
from backend.quantization.texts import DEMO_FOLDER
from backend.whole_file import write_whole

WEIGHT_ERRORS = Path(__file__).parent / "children" / "weight_errors.py"
PERPLEXITY = Path(__file__).parent / "children" / "perplexity.py"
HELD_OUT = DEMO_FOLDER / "held_out.txt"
# The text is short; a small cache starts sooner and leaves room for others.
CACHE_RATIO = 0.2

log = logging.getLogger(__name__)


def comparison(job: Job, folder: Path) -> CommandSpec:
    """The run that compares the quantized weights with the originals, on the CPU."""
    argv = [job.python, str(WEIGHT_ERRORS), job.model_path, job.output, str(folder / "errors.json")]
    argv += ["--smoothed"] if job.config.calibrated else []
    return CommandSpec(tuple(argv), (("CUDA_VISIBLE_DEVICES", ""),))


def with_errors(job: Job, folder: Path) -> Job:
    """The job with what the comparison found; it also goes into the record beside the model."""
    assert job.result is not None
    try:
        layers = json.loads((folder / "errors.json").read_bytes())
        errors = tuple(LayerError(**layer) for layer in layers)
    except (OSError, ValueError, TypeError):
        return replace(job, result=replace(job.result, errors_state="failed"))
    result = replace(job.result, errors=errors, errors_state="done")
    sizes = {"bytes_before": dict(result.before), "bytes_after": dict(result.after)}
    _extend_record(Path(job.output), {**sizes, "layer_errors": layers})
    return replace(job, result=result)


def perplexity_command(job: Job, machine: Machine, folder: Path, python: str) -> CommandSpec:
    """The run that starts both servers in turn and asks them. Raises Unavailable or InvalidInput where it can't."""
    assert job.result is not None
    key_file = folder / "perplexity.key"
    try:
        _write_key(key_file)
    except OSError as error:
        raise disk.cannot_write(folder, error) from error
    before, after = read_model(Path(job.model_path)), read_model(Path(job.output))
    servers = []
    engine = QUANT_METHODS[job.config.method].engines[0]
    for model, model_format, name in ((before, "auto", "before"), (after, job.model_format, "after")):
        config = ServeConfig(
            engine=engine,
            model=str(model.path),
            gpus=(job.config.gpu,),
            model_format=model_format,
            cache_max_entry_count=CACHE_RATIO,
            # Both in the result's dtype, so that the weights alone differ.
            dtype=job.deploy_dtype or "auto",
            model_name=name,
            trust_remote_code=job.config.trust_remote_code,
        )
        environment = choose_environment(config, model, machine)
        servers.append(_server(config, model, environment, key_file, name))
    out = folder / "perplexity.json"
    out.unlink(missing_ok=True)
    plan = {"servers": servers, "text": str(HELD_OUT), "out": str(out)}
    try:
        (folder / "perplexity-plan.json").write_text(json.dumps(plan), encoding="utf-8")
    except OSError as error:
        raise disk.cannot_write(folder, error) from error
    return CommandSpec((python, str(PERPLEXITY), str(folder / "perplexity-plan.json")))


def with_perplexity(job: Job, folder: Path, last_line: str) -> Job:
    """The job with both perplexities, or with why there are none."""
    assert job.result is not None
    try:
        answer = json.loads((folder / "perplexity.json").read_bytes())
        before, after = answer["perplexities"]
        measured = Perplexity(float(before), float(after), int(answer["tokens"]))
    except (OSError, ValueError, KeyError, TypeError):
        problem = Message("quantize.perplexity.stopped", {"line": last_line})
        result = replace(job.result, perplexity_state="failed", perplexity_problem=problem)
        return replace(job, result=result)
    _extend_record(Path(job.output), {"perplexity": {"before": before, "after": after, "tokens": measured.tokens}})
    result = replace(job.result, perplexity=measured, perplexity_state="done", perplexity_problem=None)
    return replace(job, result=result)


def check_folders(job: Job) -> None:
    """Raises InvalidInput where the result or the original isn't there any more."""
    if not Path(job.output).is_dir() or not Path(job.model_path).is_dir():
        raise InvalidInput(Message("quantize.perplexity.not-ready"))


def check_perplexity(job: Job) -> JobResult:
    """The result that can be measured. Raises InvalidInput where there is none, no GPU, or where it is being done."""
    result = job.result
    if result is None:
        raise InvalidInput(Message("quantize.perplexity.not-ready"))
    if not job.config.gpu:
        raise InvalidInput(Message("quantize.perplexity.needs-gpu"))
    if result.perplexity_state in ("queued", "running"):
        raise InvalidInput(Message("quantize.perplexity.busy"))
    return result


def _server(
    config: ServeConfig, model: ModelInfo, environment: Environment, key_file: Path, name: str
) -> dict[str, Any]:
    port = free_port()
    command = ENGINES[config.engine].command(config, model, environment, port, key_file)
    assert command is not None  # only the external engine starts nothing
    return {
        "name": name,
        "argv": command.launch_argv(),
        "env": dict(command.env),
        "base_url": f"http://127.0.0.1:{port}",
        "key_file": str(key_file),
    }


def _write_key(file: Path) -> None:
    write_whole(file, "lm" + secrets.token_hex(16))  # a key must not begin with a dash


def _extend_record(model: Path, extra: Mapping[str, Any]) -> None:
    file = model / RECORD
    try:
        record = {**json.loads(file.read_bytes()), **extra}
        write_whole(file, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    except (OSError, ValueError) as error:
        log.warning("%s can't be extended: %s", file, error)
