"""Logs as the real programs write them, around the words that say why."""

PARENT = """\
2026-11-25 13:15:33,559 - lmdeploy - ERROR - zmq_rpc.py:62 - PyTorch ZMQ engine process is not alive.
Traceback (most recent call last):
  File "lmdeploy/cli/entrypoint.py", line 39, in run
    args.run(args)
  File "lmdeploy/pytorch/engine/mp_engine/zmq_rpc.py", line 86, in check_alive
    raise self.new_dead_error()
lmdeploy.pytorch.engine.mp_engine.zmq_rpc.RPCServerDeadError: PyTorch ZMQ engine process is not alive.
"""
READY = """\
HINT:    Please open http://127.0.0.1:23333 in a browser for detailed api usage!!!
INFO:     Started server process [603]
INFO:     Waiting for application startup.
INFO:     Application startup complete.
INFO:     Uvicorn running on http://127.0.0.1:23333 (Press CTRL+C to quit)
INFO:     127.0.0.1:47106 - "GET /health HTTP/1.1" 200 OK
"""
WARNINGS = """\
/site-packages/torch/cuda/__init__.py:65: FutureWarning: The pynvml package is deprecated.
[transformers] You are using a model of type `internvl_chat` to instantiate a model of type ``. This may be expected.
2026-11-25 13:15:30,001 - lmdeploy - WARNING - archs.py:40 - Fallback to pytorch engine because it may run out of memory
[TM][WARN][1125.13:14:50.864898][turbomind.cc:128] `max_context_token_num` is not set, default to 32768.
ModelOpt isn't there: No module named 'modelopt' (not needed)
"""


def traceback(error: str, *frames: str) -> str:
    """A traceback through those frames ("file.py:function" or "file.py:function:code")."""
    lines = ["Traceback (most recent call last):", '  File "<string>", line 1, in <module>']
    for frame in frames:
        file, function, *code = frame.split(":", 2)
        lines += [f'  File "/site-packages/{file}", line 12, in {function}', f"    {code[0] if code else 'work()'}"]
        lines += ["           ^^^^^^"]
    return "\n".join([*lines, error]) + "\n"


def turbomind(error: str, *frames: str) -> str:
    """LMDeploy's own process, dead with that exception while it began."""
    return WARNINGS + traceback(error, "lmdeploy/cli/serve.py:api_server", *frames)


def pytorch(error: str, *frames: str) -> str:
    """The PyTorch engine's process dies; the last line never says why."""
    return (
        WARNINGS
        + "Process mp_engine_proc:\n"
        + traceback(error, "multiprocessing/process.py:_bootstrap", *frames)
        + PARENT
    )


def checked(error: str) -> str:
    """What the PyTorch engine's own checks found before it began."""
    return WARNINGS + f"2026-11-25 13:15:30,559 - lmdeploy - ERROR - base.py:54 - {error}\n"


def ray(error: str, *frames: str) -> str:
    """A worker that Ray started, and the parent that lost it."""
    child = "\n".join(f"(RayWorkerWrapper pid=4711) {line}" for line in traceback(error, *frames).splitlines())
    lost = "ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.\n" + PARENT
    return (
        WARNINGS
        + child
        + "\n"
        + traceback("", "lmdeploy/pytorch/engine/executor/ray_executor.py:__init__").rstrip()
        + lost
    )


def fatal(error: str, progress: str = "") -> str:
    """A check of TurboMind's C++ that failed; a progress bar may stand before it on the same line."""
    line = f"[TM][FATAL][1125.13:14:51.404085][turbomind.cc:328] {error}"
    return (
        WARNINGS
        + progress
        + line
        + "\n*** stacktrace of thread 0x7f128141c6c0 ***\n  [ 0] TM_CHECK @ turbomind.cc:328\n"
    )


def chain(*parts: str, direct: bool = True) -> str:
    """Exceptions, each raised from the one before it (or while that was handled)."""
    how = "The above exception was the direct cause of the following exception:"
    other = "During handling of the above exception, another exception occurred:"
    return WARNINGS + f"\n{how if direct else other}\n\n".join(parts)


def uvicorn(error: str) -> str:
    """What uvicorn says of an address that it can't have, after all has been loaded."""
    return (
        WARNINGS
        + "INFO:     Started server process [6904]\nINFO:     Waiting for application startup.\n"
        + f"INFO:     Application startup complete.\nERROR:    {error}\n"
        + "INFO:     Waiting for application shutdown.\nINFO:     Application shutdown complete.\n"
    )


def argparse(error: str) -> str:
    """What the command's own parser refuses."""
    usage = "usage: lmdeploy serve api_server [-h] [--server-name SERVER_NAME]"
    return f"{usage}\nlmdeploy serve api_server: error: {error}\n"


def terminated(what: str) -> str:
    """A C++ exception that nobody caught, and what the shell says then."""
    thrown = f"terminate called after throwing an instance of 'std::runtime_error'\n  what():  {what}\n"
    return WARNINGS + thrown + "Aborted (core dumped)\n"


FORMS = {form.__name__: form for form in (traceback, turbomind, pytorch, checked, ray, fatal, terminated)}
