"""Why servers died, from the words that the real LMDeploy and its libraries say; and what isn't a cause."""

from pathlib import Path

import pytest

from backend.quantization.base import QuantConfig
from backend.quantization.diagnose import diagnose as diagnose_job
from backend.servers.log_reader import diagnose
from tests.unit.backend.causes.logs_of import (
    PARENT,
    READY,
    WARNINGS,
    argparse,
    chain,
    checked,
    fatal,
    pytorch,
    ray,
    traceback,
    turbomind,
    uvicorn,
)

LOGS = Path(__file__).parents[3] / "logs"
HUB = "huggingface_hub/utils/_http.py:http_backoff"
CONNECT = traceback("httpx.ConnectError: [Errno -3] Temporary failure in name resolution", HUB)

STEP_ENDED = (
    "srun: error: node1: task 0: Exited with exit code 1\n"
    "slurmstepd: error: *** STEP 123.0 ON node1 CANCELLED AT 2026-01-01T00:00:00 ***\n"
)


def named(text: str, code: int | None = 1) -> str:
    return diagnose(text, code).reason.key.removeprefix("engines.died.")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        # The GPU's memory.
        ("memory", turbomind("RuntimeError: [TM][ERROR] CUDA runtime error: CUDA error: out of memory")),
        ("memory", fatal("CUDA error: out of memory")),
        ("memory-weights", fatal("CUDA error: out of memory", "Loading:  29%|##9  | 7/24 [00:00<00:00, 69.18it/s]")),
        ("memory", pytorch("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.16 GiB. GPU 0 has a "
        "total "
                           "capacity of 23.64 GiB of which 1.02 GiB is free.")),
        ("memory", pytorch("torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB")),
        ("memory", READY + traceback("RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling "
                                     "`cublasCreate(handle)`", "lmdeploy/vl/model/internvl.py:forward")),
        ("memory", pytorch("RuntimeError: Triton Error [CUDA]: out of memory", "triton/runtime/jit.py:run")),
        ("memory", ray("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 "
        "GiB", "torch/nn/linear.py:f")),
        ("memory-kv", pytorch("RuntimeError: No enough gpu memory for kv "
        "cache.", "pytorch/engine/executor/base.py:x")),
        ("memory-runtime", pytorch("RuntimeError: No enough gpu memory for runtime.")),
        ("memory-runtime", pytorch("AssertionError: No enough gpu memory for state cache. Please reduce "
                                   "max_batch_size.")),
        # Whoever runs the job.
        ("scheduler", WARNINGS + "slurmstepd: error: *** JOB 123 ON node1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME "
                                 "LIMIT ***\n"),
        ("scheduler", READY + "slurmstepd: error: *** STEP 123.0 ON node1 CANCELLED AT 2026-01-01T00:00:00 ***\n"),
        ("scheduler", READY + "=>> PBS: job killed: walltime 3626 exceeded limit 3600\n"),
        ("scheduler", READY + "slurmstepd: error: *** STEP 123.0 ON node1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME "
                              "LIMIT ***\n"),
        ("memory", fatal("CUDA error: out of memory") + STEP_ENDED),
        ("module", turbomind("ModuleNotFoundError: No module named 'timm'") + STEP_ENDED),
        # The machine's memory.
        ("memory-host", turbomind("RuntimeError: [enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: "
                                  "can't allocate memory: you tried to allocate 14483456 bytes. Error code 12")),
        ("memory-host", turbomind("OSError: [Errno 12] Cannot allocate memory")),
        ("memory-host", WARNINGS + "terminate called after throwing an instance of 'std::bad_alloc'\n"
                                   "  what():  std::bad_alloc\n"),
        ("memory-host", WARNINGS + "Killed\n"),
        ("memory-host", turbomind("MemoryError")),
        ("shm", WARNINGS + "node1:88:120 [0] misc/shmutils.cc:72 NCCL WARN Error: failed to extend /dev/shm/nccl-Xyz "
                           "to 33030532 bytes\n" + traceback("torch.distributed.DistBackendError: NCCL error in: "
                           "ProcessGroupNCCL.cpp:3690, unhandled system error")),
        ("shm", turbomind("RuntimeError: unable to write to file </torch_12_3>: No space left on device (28); "
                          "/dev/shm is full: No space left on device")),
        ("shm", turbomind("RuntimeError: DataLoader worker (pid 12) is killed by signal: Bus error. It is possible "
                          "that dataloader's workers are out of shared memory. Please try to raise your shared "
                          "memory "
                          "limit. insufficient shared memory (shm)")),
        # The GPU itself.
        ("driver", turbomind("RuntimeError: The NVIDIA driver on your system is too old (found version 12020). "
        "Please "
                             "update your GPU driver")),
        ("driver", fatal("CUDA error: CUDA driver version is insufficient for CUDA runtime version")),
        ("driver", turbomind("RuntimeError: Unexpected error from cudaGetDeviceCount(). Did you run some cuda "
        "functions "
                             "before calling NumCudaDevices() that might have already set an error? Error 804: "
                             "forward "
                             "compatibility was attempted on non supported HW")),
        ("driver", "/site-packages/torch/cuda/__init__.py:184: UserWarning: CUDA initialization: The NVIDIA "
        "driver on "
                   "your system is too old (found version 12020).\n" + traceback("RuntimeError: No CUDA GPUs "
                   "are available")),
        ("driver", pytorch("RuntimeError: Triton Error [CUDA]: the provided PTX was compiled with an unsupported "
                           "toolchain.")),
        ("kernel-image", fatal("CUDA error: no kernel image is available for execution on the device")),
        ("kernel-image", pytorch("torch.AcceleratorError: CUDA error: no kernel image is available for "
        "execution on the "
                                 "device\nCUDA kernel errors might be asynchronously reported at some other API "
                                 "call")),
        ("gpu-busy", pytorch("torch.AcceleratorError: CUDA error: CUDA-capable device(s) is/are busy or "
        "unavailable")),
        ("gpus-too-few", pytorch("torch.AcceleratorError: CUDA error: invalid device ordinal")),
        ("gpus-too-few", turbomind("AssertionError: no valid parallel config: dp=1, tp=4, ep=1, cp=1, "
        "device_num=None, "
                                   'available_devices=1; note the legacy "tp=1, ep=N" spelling must be "tp=N, ep=N"')),
        ("gpus-too-few", pytorch("ValueError: Cannot provide a placement group of "
        "placement_group_specs=[{'GPU': 1.0}, "
                                 "{'GPU': 1.0}] within 1800 seconds. See `ray status`")),
        ("no-gpu", turbomind("RuntimeError: No CUDA GPUs are available", "torch/cuda/__init__.py:_lazy_init")),
        ("no-gpu", checked("<CUDA> check failed!\n\x1b[31mcuda is not available.\x1b[0m")),
        ("no-gpu", pytorch("AssertionError: Torch not compiled with CUDA enabled")),
        ("no-gpu", pytorch("RuntimeError: 0 active drivers ([]). There should only be "
        "one.", "triton/runtime/driver.py:x")),
        ("gpu-hardware", fatal("CUDA error: uncorrectable ECC error encountered")),
        ("fp8-gpu", checked("<CUDA> check failed!\n\x1b[31mmodel_format=fp8 requires sm>=9.0.\x1b[0m")),
        ("fp8-gpu", pytorch("ValueError: type fp8e4nv not supported in this architecture. The supported fp8 "
        "dtypes are "
                            "('fp8e4b15', 'fp8e5')")),
        ("bfloat16", turbomind("RuntimeError: no executable data type for this device")),
        ("shm", turbomind("RuntimeError: unable to write to file </torch_1_2>: No space left on device (28)")),
        ("shm", turbomind("RuntimeError: unable to mmap 1024 bytes from file </torch_1>: Cannot allocate memory (12)")),
        ("shm", turbomind("RuntimeError: DataLoader worker (pid 3) is killed by signal: Bus error. It is possible that "
                          "dataloader's workers are out of shared memory.")),
        ("disk", turbomind("OSError: [Errno 28] No space left on device: '/data/out'")),
        ("shm", turbomind("\0\0\0Bus error")),
        ("cuda-crash", turbomind("RuntimeError: [TM][ERROR] CUDA runtime error: invalid argument "
                                 "/opt/lmdeploy/src/turbomind/utils/allocator.h:246 ")),
        ("cuda-crash", fatal("CUDA error: an illegal memory access was encountered")),
        ("cuda-crash", READY + traceback("torch.AcceleratorError: CUDA error: device-side assert triggered")),
        ("nccl", pytorch("torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:3690, unhandled "
                         "cuda error (run with NCCL_DEBUG=INFO for details), NCCL version "
                         "2.29\nncclUnhandledCudaError: "
                         "Call to CUDA function failed.")),
        # The address.
        ("port", uvicorn("[Errno 98] error while attempting to bind on address ('127.0.0.1', 23333): address already "
                         "in use")),
        ("port-denied", uvicorn("[Errno 13] error while attempting to bind on address ('127.0.0.1', 80): permission "
                                "denied")),
        ("address", uvicorn("[Errno 99] error while attempting to bind on address ('10.1.2.3', 23333): cannot assign "
                            "requested address")),
        ("address", uvicorn("[Errno -2] Name or service not known")),
        ("port-number", WARNINGS + traceback("OverflowError: bind(): port must be "
        "0-65535.", "asyncio/base_events.py:x")),
        ("port-number", turbomind("ValueError: server_port must be between 1 and 65535, got 70000")),
        # The model's folder.
        ("path", turbomind("huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or "
                           "'namespace/repo_name': '/models/none'. Use `repo_type` argument if needed.")),
        ("path", traceback("OSError: nobody/nothing is not a local folder and is not a valid model identifier "
        "listed on "
                           "'https://huggingface.co/models'")),
        ("config-missing", turbomind("OSError: /models/x does not appear to have a file named config.json. Checkout "
                                     "'https://huggingface.co//models/x/tree/main' for available files.")),
        ("config-missing", turbomind("ValueError: Unrecognized model in /models/x. Should have a `model_type` "
        "key in its "
                                     "config.json.")),
        ("config-broken", chain(
            traceback("json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 "
            "column "
                      "41 (char 40)", "transformers/configuration_utils.py:_dict_from_json_file"),
            traceback("OSError: It looks like the config file at '/m/config.json' is not a valid JSON file."),
            direct=False)),
        ("weights-lfs", turbomind("safetensors_rust.SafetensorError: Error while deserializing header: "
        "HeaderTooLarge")),
        ("weights-lfs", pytorch("safetensors_rust.SafetensorError: Error while deserializing header: header too "
        "large")),
        ("weights-lfs", pytorch("_pickle.UnpicklingError: invalid load key, 'v'.")),
        ("weights", turbomind("safetensors_rust.SafetensorError: Error while deserializing header: incomplete "
        "metadata, "
                              "file not fully covered")),
        ("weights", turbomind("safetensors_rust.SafetensorError: Error while deserializing header: "
                              "MetadataIncompleteBuffer")),
        ("weights", pytorch("RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central "
                            "directory")),
        ("weights-missing", turbomind("RuntimeError: Failed to find valid checkpoint under '/models/empty'")),
        ("weights-missing", pytorch("OSError: Error no file named model.safetensors, or pytorch_model.bin, found in "
                                    "directory /m.")),
        ("weights-missing", turbomind("FileNotFoundError: No such file or directory: "
        "/m/model-00002-of-00004.safetensors")),
        ("weights-tensor", turbomind("KeyError: 'model.layers.4.input_layernorm.weight'",
                                     "lmdeploy/turbomind/checkpoint.py:pop")),
        ("weights-tensor", turbomind("KeyError: \"no checkpoint tensors found at prefix "
        "'model.layers.0.self_attn.q_proj' "
                                     "(candidate suffixes: ['.qweight', '.qzeros', '.scales'])\"")),
        ("weights-tensor", pytorch("KeyError: 'multi_modal_projector.linear_1.weight'",
                                   "lmdeploy/pytorch/models/internvl3_hf.py:load_weights")),
        ("weights-shape", pytorch("AssertionError: Attempted to load weight (torch.Size([256, 256])) into parameter "
                                  "(torch.Size([384, "
                                  "384]))", "lmdeploy/pytorch/weight_loader/model_weight_loader.py:x")),
        ("weights-shape", turbomind("AssertionError: weight: alloc byte_size=1024 != shard.nbytes=512")),
        ("weights-shape", traceback("RuntimeError: You set `ignore_mismatched_sizes` to `False`, thus raising "
        "an error. "
                                    "For details look at the above report!")),
        ("tokenizer", turbomind("ValueError: Couldn't instantiate the backend tokenizer from one of: \n(1) a "
        "`tokenizers` "
                                "library serialization file, \n(2) a slow tokenizer instance to convert")),
        ("tokenizer", turbomind("ValueError: Tokenizer class InternLM9Tokenizer does not exist or is not currently "
                                "imported.")),
        ("tokenizer-broken", turbomind("json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
                                       "lmdeploy/tokenizer.py:__init__",
                                       "transformers/tokenization_utils_base.py:_from_pretrained")),
        ("tokenizer-broken", turbomind("Exception: data did not match any variant of untagged enum ModelWrapper "
        "at line "
                                       "757443 column 3", "transformers/tokenization_utils_fast.py:__init__")),
        ("processor-missing", turbomind("OSError: Can't load image processor for '/m'. If you were trying to "
        "load it")),
        # The model and the engine.
        ("architecture", traceback("ValueError: The checkpoint you are trying to load has model type `nova` but "
                                   "Transformers does not recognize this architecture. This could be because of "
                                   "an issue "
                                   "with the checkpoint, or because your version of Transformers is out of date.")),
        ("engine-architecture", turbomind("AssertionError: turbomind does not support /m/gpt2. Plz try pytorch "
        "engine "
                                          "instead.")),
        ("engine-architecture-pytorch", pytorch("RuntimeError: Can not found rewrite for architectures: "
                                                "['GPT2LMHeadModel']")),
        ("engine-architecture-pytorch", pytorch("RuntimeError: Falcon (FalconForCausalLM) support has been "
        "removed from "
                                                "LMDeploy. Please use an older LMDeploy release")),
        ("trust", turbomind("AttributeError: 'dict' object has no attribute 'hidden_size'")),
        ("trust", turbomind("ValueError: The repository /m contains custom code which must be executed to "
        "correctly load "
                            "the model. You can inspect the repository content at https://hf.co//m.\nPlease pass the "
                            "argument `trust_remote_code=True` to allow custom code to be run.")),
        ("head-dim", READY + fatal("Check failed: kernel No attention kernel found: prefill_d100_bf16")),
        ("kv-misaligned", READY + fatal("CUDA error: misaligned address")),
        ("picture-dtype", READY + fatal("Check failed: pixel_value.dtype() == d.batch_input.dtype() (f16 vs. "
        "bf16) ")),
        ("kv-fp8", turbomind("pydantic_core._pydantic_core.ValidationError: 1 validation error for "
        "TurbomindEngineConfig\n"
                             "  Assertion failed, invalid quant_policy for TurboMind, FP8 quantization is not "
                             "supported "
                             "[type=assertion_error, input_value=ArgsKwargs((), {})]")),
        ("kv-head-dim", pytorch("AssertionError: head_size: 81, quant_policy: 4")),
        ("kv-unsupported", pytorch("ValueError: Sparse MLA does not support quant_policy=4. Use quant_policy=0.")),
        ("ratio", fatal("Check failed: cache_ratio < 1. (5000 vs. 1) object-cache path no longer accepts it")),
        ("ratio", turbomind("AssertionError: invalid cache_max_entry_count")),
        ("setting", turbomind("pydantic_core._pydantic_core.ValidationError: 1 validation error for "
                              "PytorchEngineConfig\nblock_size\n  Input should be a valid integer [type=int_type]")),
        ("format-mismatch", turbomind('AssertionError: mismatched quant method: user input "gptq" vs model '
                                      'quant_config "awq"')),
        ("format-hf", checked("RuntimeError: Unsupported weight quantization method: hf") + PARENT),
        ("group-size", turbomind('ValueError: Unsupported group_size=64 for model_format="awq". Supported group_size '
                                 "values: 128.")),
        ("quant-config", turbomind("AssertionError: unsupported quant_config: {'quant_method': 'bitsandbytes'}")),
        ("quant-config", pytorch("TypeError: Unsupported quant method: bitsandbytes")),
        ("quant-config", turbomind("AssertionError: unsupported quant config: {'quant_method': 'gptq', "
        "'desc_act': True}")),
        ("tp-heads", turbomind("AssertionError: TP split: wqkv.weight dim 1 has size 1152, not divisible by tp=5.")),
        ("tp-heads", pytorch("AssertionError", "lmdeploy/pytorch/configurations/builder.py:update_num_kv_heads")),
        ("ray", checked("<Dist> check failed!\n\x1b[31mMulti-nodes support requires `ray`.\x1b[0m")),
        ("adapter", pytorch("huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name': "
        "'/none'",
                            "lmdeploy/pytorch/engine/engine.py:_download_adapters")),
        ("adapter", turbomind("AssertionError: Multiple lora paths must in format of xxx=yyy. But given: /x")),
        ("template", turbomind("AssertionError: chat template 'no' is not registered. The builtin chat "
        "templates "
                                    "are: dict_keys(['base', 'vicuna'])")),
        ("template-needed", turbomind("RuntimeError: please specify chat template as guided in "
        "https://lmdeploy")),
        ("template-broken", turbomind("jinja2.exceptions.TemplateSyntaxError: unexpected '}'")),
        ("parser-tool", turbomind("ValueError: The tool parser nosuch is not in the parser list: "
        "dict_keys(['qwen'])")),
        ("parser-reasoning", turbomind("ValueError: The reasoning parser nosuch is not in the parser list: "
        "dict_keys([])")),
        ("arguments", argparse("argument --quant-policy: invalid choice: 5 (choose from 0, 4, 8)")),
        ("arguments", argparse("unrecognized arguments: --server_name x")),
        ("arguments", argparse("argument --tp: expected one of 1, 2")),
        ("arguments", "Usage: transformers serve [OPTIONS]\nError: Invalid value for '--port': 'x' is no integer.\n"),
        ("arguments", "╭─ Error ──╮\n│ Invalid value for '--port': 'x'     │\n╰──────────╯\n"),
        ("arguments", argparse("the following arguments are required: model_path")),
        ("arguments", "Usage: transformers serve [OPTIONS]\nError: No such option: --tp\n"),
        # Packages and libraries.
        ("module", turbomind("ModuleNotFoundError: No module named 'timm'")),
        ("module", turbomind("ModuleNotFoundError: No module named 'nvidia.cudnn'")),
        ("module", turbomind("ModuleNotFoundError: No module named 'cuda.bindings'")),
        ("module", turbomind("ModuleNotFoundError: No module named 'azure.identity'")),
        ("module", turbomind("ModuleNotFoundError: No module named 'ruamel.yaml'")),
        ("module", turbomind("ImportError: This modeling file requires the following packages that were not found in "
                             "your environment: einops. Run `pip install einops`")),
        ("module", turbomind("ImportError: \nLlamaTokenizer requires the SentencePiece library but it was not "
        "found in "
                             "your environment. Check out the instructions")),
        ("module", pytorch("ImportError: FlashAttention2 has been toggled on, but it cannot be used due to the "
        "following "
                           "error: the package flash_attn seems to be not installed. Please refer to")),
        ("module", turbomind("ImportError: To use LlavaVLModel, please install llava by pip install git+https://x")),
        ("library", turbomind("ImportError: libcudart.so.12: cannot open shared object file: No such file or "
        "directory")),
        ("library", chain(
            traceback("ImportError: libnvJitLink.so.13: cannot open shared object file: No such file"),
            traceback("RuntimeError: TurboMind was requested but its native module is unavailable."))),
        ("glibc", turbomind("ImportError: /lib/x86_64-linux-gnu/libstdc++.so.6: version `GLIBCXX_3.4.32' not found "
                            "(required by /site-packages/lmdeploy/turbomind/_turbomind.so)")),
        ("library-mismatch", turbomind("ImportError: /site-packages/flash_attn_2_cuda.so: undefined symbol: "
        "_ZN3c105")),
        ("library-mismatch", turbomind("RuntimeError: operator torchvision::nms does not exist")),
        ("package-version", turbomind("ImportError: cannot import name 'GenerationMixin' from "
        "'transformers.utils' (/x)")),
        ("gptqmodel", traceback("ImportError: Loading an AWQ quantized model requires gptqmodel. Please install "
        "it with "
                                "`pip install gptqmodel`")),
        ("compiler", pytorch("RuntimeError: Failed to find C compiler. Please specify via CC environment variable or "
                             "set triton.knobs.build.impl.", "triton/runtime/build.py:_build")),
        ("python-headers", WARNINGS + "/tmp/tmpx/cuda_utils.c:6:10: fatal error: Python.h: No such file or "
        "directory\n"
                           + pytorch("subprocess.CalledProcessError: Command '['/usr/bin/gcc', '/tmp/main.c', '-O3', "
                                     "'-shared']' returned non-zero exit status 1.")),
        ("triton-resources", pytorch("triton.runtime.errors.OutOfResources: out of resource: shared memory, "
        "Required: "
                                     "114944, Hardware limit: 101376. Reducing block sizes or `num_stages` may "
                                     "help.")),
        ("triton", pytorch("triton.runtime.errors.PTXASError: PTXAS error: Internal Triton PTX codegen error")),
        # The hubs.
        ("offline", chain(CONNECT, traceback("huggingface_hub.errors.LocalEntryNotFoundError: An error happened "
        "while "
                          "trying to locate the files on the Hub", HUB))),
        ("offline", traceback("OSError: We couldn't connect to 'https://huggingface.co' to load the files, and "
        "couldn't "
                              "find them in the cached files.")),
        ("hub-gated", chain(
            traceback("httpx.HTTPStatusError: Client error '403 Forbidden' for url 'https://huggingface.co/x'", HUB),
            traceback("huggingface_hub.errors.GatedRepoError: 403 Client Error. (Request ID: "
            "Root=1-6)\n\nCannot access "
                      "gated repo for url https://huggingface.co/meta-llama/x/resolve/main/config.json.\nAccess to "
                      "model meta-llama/x is restricted."))),
        ("hub-gated", traceback("huggingface_hub.errors.GatedRepoError: 401 Client Error. (Request ID: Root=1-6)\n\n"
                                "Cannot access gated repo for url https://huggingface.co/x.")),
        ("hub-missing", traceback("huggingface_hub.errors.RepositoryNotFoundError: 404 Client Error. (Request "
        "ID: R)\n\n"
                                  "Repository Not Found for url: https://huggingface.co/api/models/no/no.")),
        ("hub-limit", traceback("huggingface_hub.errors.HfHubHTTPError: 429 Client Error: Too Many Requests for "
        "url: x")),
        ("hub-certificate", chain(
            traceback("httpx.ConnectError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", HUB),
            traceback("huggingface_hub.errors.LocalEntryNotFoundError: An error happened while trying to locate"))),
        ("hub-proxy", traceback("ImportError: Using SOCKS proxy, but the 'socksio' package is not installed. "
        "Make sure "
                                "to install httpx using `pip install httpx[socks]`.", HUB)),
        ("hub-broken", traceback("OSError: Consistency check failed: file should be of size 4877660776 but has size "
                                 "1234 (model-00001-of-00004.safetensors).")),
        # Disk and account.
        ("disk", traceback("OSError: [Errno 28] No space left on device", "shutil.py:copyfileobj")),
        ("disk", traceback("safetensors_rust.SafetensorError: I/O error: No space left on device (os error 28)")),
        ("permission", turbomind("PermissionError: [Errno 13] Permission denied: '/root/.triton/cache'")),
        ("permission", turbomind("OSError: [Errno 30] Read-only file system: '/models/x/tmp'")),
        ("files-open", turbomind("OSError: [Errno 24] Too many open files: '/m/model-00001.safetensors'")),
        ("threads", turbomind("RuntimeError: can't start new thread")),
    ],
)  # fmt: skip
def test_what_real_programs_say(name: str, text: str) -> None:
    assert named(text) == name
    assert named(text.replace("\n", "\r\n")) == name


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("adapter", "fail-adapter-missing"),
        ("template", "fail-chat-template-unknown"),
        ("config-broken", "fail-config-broken-json"),
        ("format-mismatch", "fail-gptq-format-on-awq"),
        ("head-dim", "fail-head-dim-100-first-request"),
        ("weights-tensor", "fail-layers-missing"),
        ("address", "fail-name-unresolvable"),
        ("format-hf", "fail-pytorch-model-format-hf"),
        ("kv-fp8", "fail-quant-16-turbomind"),
        ("ratio", "fail-ratio-absolute"),
        ("memory", "fail-session-len-huge"),
        ("tokenizer-broken", "fail-tokenizer-corrupt"),
        ("parser-tool", "fail-tool-parser-unknown"),
        ("weights-missing", "fail-weights-missing"),
    ],
)
def test_real_logs(name: str, file: str) -> None:
    assert named((LOGS / f"{file}.log").read_text(encoding="utf-8")) == name


@pytest.mark.parametrize(
    "log", sorted(LOGS.glob("ok-*.log")) + sorted(LOGS.glob("warn-*.log")), ids=lambda log: log.stem
)
@pytest.mark.parametrize("code", [0, 1, -15, None])
def test_a_log_without_a_fault_has_no_cause(log: Path, code: int | None) -> None:
    assert named(log.read_text(encoding="utf-8"), code) in ("exit", "ended", "unknown")


GROUP = """\
ERROR:    Exception in ASGI application
  + Exception Group Traceback (most recent call last):
  |   File "/site-packages/starlette/_utils.py", line 79, in collapse_excgroups
  |     yield
  | ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Exception Group Traceback (most recent call last):
    |   File "/site-packages/lmdeploy/serve/a.py", line 2, in f
    |     a
    |     | b
    | ExceptionGroup: of the engine (1 sub-exception)
    +-+---------------- 1 ----------------
      | Traceback (most recent call last):
      |   File "/site-packages/lmdeploy/serve/b.py", line 3, in g
      |     h()
      | torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.
      +------------------------------------
    +---------------- 2 ----------------
    | asyncio.exceptions.CancelledError
    +------------------------------------
"""


@pytest.mark.parametrize("text", [GROUP, WARNINGS + GROUP + PARENT, GROUP + "INFO:     x\n"])
def test_the_exceptions_of_a_group(text: str) -> None:
    diagnosis = diagnose(text, 1)
    assert diagnosis.reason.key == "engines.died.memory"
    assert diagnosis.lines == ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",)


def test_a_line_of_code_that_begins_with_a_bar_is_no_margin() -> None:
    code = traceback("RuntimeError: No enough gpu memory for kv cache.", "a.py:b:x = (a", "c.py:d:| e)")
    assert named(code) == "memory-kv"


NOT_FOUND = traceback("ModuleNotFoundError: No module named 'flash_attn'", "lmdeploy/pytorch/backends/cuda/fa3.py:x")


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("exit", WARNINGS + READY, 1),
        ("killed", WARNINGS + READY, -9),
        # What an engine got over before it served, or answered after.
        ("exit", NOT_FOUND + READY, 1),
        ("killed", READY + traceback("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 9 "
        "GiB") + READY, -9),
        ("error", NOT_FOUND + READY + traceback("my.own.StrangeError: so it is"), 1),
        ("exit", checked("could not import deep_gemm: No module named 'deep_gemm'") + READY, 0),
        # A handled ImportError isn't why memory ran out.
        ("memory", chain(NOT_FOUND, traceback("torch.OutOfMemoryError: CUDA out of memory."), direct=False), 1),
        ("memory", NOT_FOUND + fatal("CUDA error: out of memory"), -6),
        # A lost worker names no cause; Ray's guesses aren't one.
        ("ray-worker", traceback("ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing "
        "this task. "
                                 "There are some potential root causes. (1) The process is killed by SIGKILL by "
                                 "OOM killer "
                                 "due to high memory usage. (2) ray stop --force is called.") + PARENT, 1),
        ("silent", "INFO: x\nProcess mp_engine_proc:\n" + traceback("EOFError", "multiprocessing/connection.py:_recv")
         + PARENT, 1),
        ("silent", PARENT, 1),
        ("error", traceback("KeyError: 'q'"), 1),
        ("error", traceback("RuntimeError: shape '[1, 2]' is invalid for input of size 3", "my/model.py:forward"), 1),
        ("error", traceback("ConnectionRefusedError: [Errno 111] Connection refused", "my/tool.py:ask"), 1),
        ("exit", "WARNING:  No space left on device was said by someone\nall is well\n", 3),
        ("exit", "usage: lmdeploy\n  --cache-max-entry-count  lower it where CUDA is out of memory (default: "
        "0.8)\n", 2),
    ],
)  # fmt: skip
def test_what_is_no_cause(name: str, text: str, code: int) -> None:
    assert named(text, code) == name


def test_what_is_not_known_is_said_with_the_lines_that_matter() -> None:
    text = pytorch("my.own.StrangeError: the flux is out of order", "lmdeploy/pytorch/engine/engine.py:step")
    diagnosis = diagnose(text, 1)
    assert diagnosis.reason.key == "engines.died.error"
    assert diagnosis.reason.params["cause"] == "my.own.StrangeError: the flux is out of order"
    assert diagnosis.lines[-1] == "my.own.StrangeError: the flux is out of order"


def test_a_bar_before_the_traceback_and_a_cut_head() -> None:
    whole = traceback("RuntimeError: No enough gpu memory for kv cache.", "a.py:b")
    assert named("Loading:  50%|#####     | 2/4 [00:00<00:00, 13.31it/s]" + whole) == "memory-kv"
    assert named(whole.split("\n", 2)[2]) == "memory-kv"


def test_a_bus_error_is_shared_memory() -> None:
    assert named("Loading", -7) == "shm"


# What LMDeploy, transformers and safetensors really raised for broken checkpoints (transformers 5.23, without a GPU).
REAL = {
    "config-values": (
        "cfg_layers-arch",
        "cfg_type-load",
        "cfg_dtype-arch",
        "cfg_act-load",
        "cfg_rope-load",
        "cfg_neg-load",
    ),
    "config-missing": ("cfg_arch-arch", "cfg_type_none-load"),
    "architecture": ("cfg_type_x-load",),
    "config-broken": ("cfg-empty", "gen-broken"),
    "processor-missing": ("imgproc-none",),
    "port-number": ("port70000",),
    "weights-lfs": ("tm-w1",),
    "weights": ("tm-w2", "tm-w3", "tm-w7"),
    "weights-missing": ("tm-w5", "tm-w6", "w-none"),
    "weights-shape": ("w-shape",),
    "tokenizer-broken": ("tok-badmodel", "tok-lfs"),
    "offline": ("serve-hub-offline", "serve-hub-no-line"),
    "no-gpu": ("serve-no-driver",),
    "template-file": ("serve-template-file",),
    "silent": ("serve-engine-silent",),
}


@pytest.mark.parametrize(("name", "file"), [(name, file) for name, files in REAL.items() for file in files])
def test_real_tracebacks_wherever_they_stand(name: str, file: str) -> None:
    text = (LOGS / "causes" / f"{file}.log").read_text(encoding="utf-8")
    assert named(text) == name
    assert named(WARNINGS + text + PARENT) == name
    assert named(text + READY, 0) == "exit"
    child = "\n".join(f"\x1b[36m(RayWorkerWrapper pid=88)\x1b[0m {line}" for line in text.splitlines())
    assert named(child + "\n" + PARENT) == name


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("unsupported", "lite-gpt2"),
        ("unsupported", "lite-vl"),
        ("group", "lite-group"),
        ("dataset", "lite-offline"),
        ("dataset", "lite-no-line"),
        ("model-offline", "lite-hub"),
        ("output-gone", "lite-workdir"),
        ("quantized", "lite-awq"),
        ("bits", "lite-bits3"),
        ("group", "lite-group1000"),
        ("text-short", "lite-short"),
        ("symmetric", "lite-sym"),
        ("calibration", "lite-ptb"),
        ("bf16", "lite-bf16"),
    ],
)
def test_real_jobs(name: str, file: str) -> None:
    text = (LOGS / "causes" / f"{file}.log").read_text(encoding="utf-8")
    assert diagnose_job(text, 1, QuantConfig(model="/m", output="/o")).reason.key == f"quantize.failed.{name}"
