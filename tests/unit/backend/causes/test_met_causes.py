"""What people met with LMDeploy and what it stands on, as its source, its neighbours' and public reports have it."""

from pathlib import Path

import pytest

from backend.quantization.base import QuantConfig
from backend.quantization.diagnose import diagnose as diagnose_job
from backend.servers.log_reader import diagnose
from tests.unit.backend.causes.logs_of import (
    FORMS,
    PARENT,
    READY,
    WARNINGS,
    chain,
    checked,
    terminated,
    traceback,
    turbomind,
)

MET = Path(__file__).parents[3] / "logs" / "met"
TRITON = "<Triton> check failed!\n\x1b[31mPlease ensure that your device is functioning properly with <Triton>.\x1b[0m"
NO_MODULE = traceback("RuntimeError: TurboMind was requested but its native module is unavailable.")


def met(file: str) -> list[tuple[str, str]]:
    """A file's lines "name | form | what was said | <frame> <frame>" as names and logs; the form is one of logs_of."""
    found = []
    for line in (MET / file).read_text(encoding="utf-8").splitlines():
        name, form, said = line.split(" | ", 2)
        said, _, frames = said.partition(" | <")
        of = [frame.strip("<>") for frame in frames.split("> <") if frame]
        found.append((name, FORMS[form](said.replace("\\n", "\n").replace("\\e", "\x1b"), *of)))
    return found


SERVERS = [
    *met("servers.txt"),
    ("turbomind-missing", chain(traceback("ImportError: cannot import name '_turbomind' from 'lmdeploy'"), NO_MODULE)),
    ("library", chain(traceback("ImportError: libcublas.so.13: cannot open shared object file: No such"), NO_MODULE)),
    ("library", WARNINGS + "Unable to load any of {libcudnn_cnn.so.9.1.0, libcudnn_cnn.so.9}\n"
                "Invalid handle. Cannot load symbol cudnnCreateConvolutionDescriptor\nAborted (core dumped)\n"),
    ("config-attribute", checked("AttributeError: 'InternVLChatConfig' object has no attribute 'hidden_size'")
                         + checked("<Model> check failed!\n\x1b[31mChecking failed with error 'InternVLChatConfig' "
                                   "object has no attribute 'hidden_size'.\x1b[0m")),
    ("triton", checked("AssertionError: Tensor-likes are not close!") + checked(TRITON)),
    ("compiler", checked("RuntimeError: Failed to find C compiler. Please specify via CC environment variable.")
                 + checked(TRITON)),
    ("cuda-crash", READY + traceback("RuntimeError: cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", "torch/nn/conv.py:f")),
    ("module", "/opt/venv/bin/python: No module named lmdeploy\n"),
    ("cpu-old", WARNINGS + "Illegal instruction (core dumped)\n"),
    ("triton", WARNINGS + "LLVM ERROR: Failed to compute parent layout for slice layout.\nAborted\n" + PARENT),
    ("heap", WARNINGS + "malloc(): corrupted top size\nAborted (core dumped)\n"),
    ("heap", WARNINGS + "double free or corruption (!prev)\nAborted (core dumped)\n"),
    ("heap", WARNINGS + "free(): invalid pointer\nAborted (core dumped)\n"),
    ("error", WARNINGS + "[TM][ERROR] Assertion fail: /lmdeploy/src/turbomind/models/llama/BlockManager.cc:25\n"),
    ("package-version", turbomind("ImportError: numpy.core.multiarray failed to import")),
    ("gpu-hardware", "[  12.3] NVRM: Xid (PCI:0000:01:00): 79, pid=123, GPU has fallen off the bus.\n"
                     + turbomind("torch.AcceleratorError: CUDA error: unspecified launch failure")),
    ("silent", turbomind("RuntimeError: PyTorch ZMQ engine process exited before publishing RPC server port.")),
    ("error", terminated("an error of its own")),
]  # fmt: skip
JOBS = [
    *met("jobs.txt"),
    ("dataset", chain(traceback("ConnectionError: Couldn't reach 'wikitext' on the Hub (LocalEntryNotFoundError)"),
                      traceback("InterruptedError: There have been some issues when generating the dataset, you could",
                                "lmdeploy/lite/utils/calib_dataloader.py:get_calib_loaders"))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), SERVERS)
def test_servers(name: str, text: str) -> None:
    for code in (1, -6):  # the signal of an abort says no more
        diagnosis = diagnose(text, code)
        assert diagnosis.reason.key == f"engines.died.{name}"
        assert diagnosis.lines


@pytest.mark.parametrize(("name", "text"), JOBS)
def test_jobs(name: str, text: str) -> None:
    key = diagnose_job(text, 1, QuantConfig(model="/m", output="/o")).reason.key
    assert key in (f"quantize.failed.{name}", f"engines.died.{name}")


def test_what_was_got_over_is_no_cause() -> None:
    for name, text in SERVERS:
        assert diagnose(text + READY, 1).reason.key == "engines.died.exit", name


def test_the_word_before_the_shells_last_one_is_shown() -> None:
    assert diagnose(terminated("an error of its own"), 134).reason.params["cause"] == "what():  an error of its own"


@pytest.mark.parametrize(
    ("module", "package"),
    [("cv2", "opencv-python-headless"), ("PIL.Image", "pillow"), ("timm", "timm"), ("google.protobuf", "protobuf")],
)
def test_a_missing_module_is_named_as_its_package(module: str, package: str) -> None:
    assert diagnose(turbomind(f"ModuleNotFoundError: No module named '{module}'"), 1).reason.params["cause"] == package


@pytest.mark.parametrize(
    ("module", "name", "cause"),
    [
        ("transformers.models.glm5", "package-version", "transformers"),
        ("torch._inductor.kernel.flex", "package-version", "torch"),
        ("lmdeploy.pytorch.nothing", "package-version", "lmdeploy"),
        ("configuration_foo", "code-missing", "configuration_foo"),
        ("modeling_foo", "code-missing", "modeling_foo"),
        ("einops", "module", "einops"),
    ],
)
def test_what_no_installation_brings(module: str, name: str, cause: str) -> None:
    """A part of a package that is there comes with another version, a model's own code with the model."""
    reason = diagnose(turbomind(f"ModuleNotFoundError: No module named '{module}'"), 1).reason
    assert (reason.key, reason.params["cause"]) == (f"engines.died.{name}", cause)
