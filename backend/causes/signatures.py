"""What kills servers and jobs: the words that stand in the log, and the name of the cause.

The words are those of LMDeploy 0.18, torch 2.12, transformers 4.57 and 5.23, huggingface_hub, safetensors, tokenizers,
triton, NCCL, Ray and uvicorn, as they raise them. One name has one text ("engines.died.<name>" in ui/locales, for a job
"quantize.failed.<name>" where that says more) and its remedies (backend/engines/remedies.py).

Of an exception and those that it was raised from, the first in this table is the cause: the most telling come first,
and what is only dragged along behind another cause (``dragged``) comes last.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Signature:
    """``pattern`` is looked for in what was said, ``frames`` (where given) in the traceback above it. The group
    ``cause`` is the word that the text names."""

    name: str
    pattern: re.Pattern[str]
    frames: re.Pattern[str] | None = None
    dragged: bool = False


def _sign(name: str, pattern: str, frames: str = "", dragged: bool = False) -> Signature:
    return Signature(name, re.compile(pattern), re.compile(frames) if frames else None, dragged)


# What a package is called where it is installed, when its modules are called otherwise.
PACKAGES = {
    "cv2": "opencv-python-headless", "PIL": "pillow", "yaml": "pyyaml", "google": "protobuf", "sklearn": "scikit-learn",
    "pkg_resources": "setuptools", "flash_attn_2_cuda": "flash-attn", "fla": "flash-linear-attention",
    "Numpy": "numpy", "DeepEP": "deep_ep",
}  # fmt: skip
_WEIGHT_NAME = r"[\w.]*\.(?:q?weight|bias|scales?|q?zeros|weight_scale(?:_inv)?|g_idx|weight_packed)"

SIGNATURES: tuple[Signature, ...] = (
    # What LMDeploy's own checks say.
    _sign("picture-dtype", r"pixel_value\.dtype\(\) == d\.batch_input\.dtype\(\)"),
    _sign("head-dim", r"No attention kernel found: (?P<cause>\S+)"),
    _sign("kv-misaligned", r"CUDA error: misaligned address"),
    _sign("kv-fp8", r"invalid quant_policy for TurboMind, FP8 quantization is not supported"),
    _sign("kv-head-dim", r"head_size: (?P<cause>\d+), quant_policy: \w+|TurboQuant .*requires power-of-2"),
    _sign("kv-unsupported", r"does not support quant_policy=|does not support KV-cache quantization"
          r"|kv cache quantization only works for|Unsupported quant policy|quant_policy==42 does not support"),
    _sign("ratio", r"cache_ratio < 1|invalid cache_max_entry_count"),
    _sign("memory-runtime", r"No enough gpu memory for (?:runtime|state cache)"),
    _sign("memory-kv", r"No enough gpu memory for kv cache|No enough free memory blocks"),
    _sign("format-mismatch", r'mismatched quant method: user input "[^"]*" vs model quant_config "(?P<cause>[^"]*)"'),
    _sign("group-size", r"Unsupported group_size=(?P<cause>\d+)|mismatched quant group size"
          r'.* quant_config "(?P<cause2>\d+)"'),
    _sign("format-hf", r"Unsupported weight quantization method: (?P<cause>\w+)"),
    _sign("quant-config", r"unsupported quant[_ ]config: (?P<cause>.{1,300})|compressed-tensors only supports.*"
          r"|pack-quantized requires.*|(?:Only c|C)ompressed-tensors .*|Unsupported quant method: (?P<cause2>\S+)"
          r"|Unknown quantization type, got (?P<cause3>\S+)|Conflicting quantization configs"
          r"|(?P<cause4>unsupported_fp8_block_out_\d+)|Unsupported fp8 fmt: (?P<cause5>\S+)"),
    _sign("kernel-shape", r"requires K >= \d+, K % \d+ == 0"),
    _sign("gpu-format", r"not implemented: ?(?P<cause>dtype=\w+).{0,60}\bsm=\d+"),
    _sign("gpu-format", r"no GEMM (?:family|kernel|kernel family) (?:accepts"
          r"|for) ?(?P<cause>(?:format=)?[^,\n]{0,80})"),
    _sign("fp8-gpu", r"model_format=fp8 requires sm>=9\.0|fp8e4nv not supported|FP8 .{0,40}(?:requires"
          r"|only supported on)"
          r".{0,60}(?:[Cc]ompute [Cc]apability|Hopper|SM ?(?:89|90))|FP8 quantized models is only supported on GPUs"),
    _sign("template", r"chat template '(?P<cause>[^']*)' is not registered"),
    _sign("template-file", r"Must be a file path or a valid JSON string"),
    _sign("template-file", r"JSONDecodeError|TypeError|KeyError", r"in get_chat_template\b"),
    _sign("template-needed", r"please specify chat template as guided|chat_template is not set"),
    _sign("template-broken", r"jinja2\.exceptions\.\w+|Try apply_chat_template failed"),
    _sign("parser-tool", r"The tool parser (?P<cause>\S+) is not in the parser list"),
    _sign("parser-reasoning", r"The reasoning parser (?P<cause>\S+) is not in the parser list"),
    _sign("speculative", r"SpeculativeConfig|[Uu]nsupported speculative method|--speculative-\S+ requires"
          r"|DFlash (?:V1 |checkpoint )?(?:requires|does not support)|Speculative decoding on CUDA requires"
          r"|dflash_block_size (?:is|must)"),
    _sign("adapter", r"Multiple lora paths|<Adapter> check failed|Please make sure the adapter can be loaded"
          r"|Can't find 'adapter_config\.json'|adapter_config\.json"),
    _sign("adapter", r".", r"_download_adapters|adapter/adapter\.py|in add_adapters|peft/"),
    _sign("tp-heads", r"TP split: .* not divisible by tp=(?P<cause>\d+)|target_heads=\d+ must be divisible by heads"
          r"|num_(?:attention_|key_value_|kv_)?heads?.{0,40}(?:must be divisible by|is not divisible by|% ?tp)"
          r"|not divisible by (?:tp|world[_ ]size|tensor parallel)"),
    _sign("tp-heads", r"AssertionError: num_heads: \d+, world_size: (?P<cause>\d+)"
          r"|(?:[Nn]um(?:ber of |_)experts|ffn_dim|hidden_dim)\b.{0,20}(?:must be|is not) divisible by (?:ep|EP"
          r"|MoE|tp|world)"),
    _sign("tp-heads", r"AssertionError", r"in update_num_kv_heads"),
    _sign("gpus-too-few", r"no valid parallel config: .*available_devices=(?P<cause>\d+)"
          r"|Cannot provide a placement group of|number of required \S+ exceeds the total number of available"
          r"|Current node has no GPU available|invalid device ordinal|Invalid device id"
          r"|AssertionError: config requires \d+ devices"),
    _sign("ray", r"Multi-nodes support requires `ray`|No module named 'ray'"
          r"|requires distributed_executor_backend=\"ray\""),
    _sign("engine-architecture", r"turbomind does not support (?P<cause>\S+?)\.? Plz try pytorch"
          r"|turbomind has not supported (?P<cause2>\w+)"
          r"|[Aa]rchitecture '?(?P<cause3>\w+)'? is not supported by TurboMind"
          r"|vision architecture '?(?P<cause4>\w+)'? is not supported|supports only the PyTorch engine"
          r"|TurboMind native ViT requires (?P<cause5>.{1,80})|Unsupported rope type: (?P<cause6>\S+)"),
    _sign("engine-architecture", r"KeyError: '(?P<cause>\w+)'", r"in get_registered_name|SUPPORTED_ARCHS|ARCH_MAP"),
    _sign("engine-architecture-pytorch", r"Can not found rewrite for (?:architectures|auto_map): (?P<cause>.{1,120})"
          r"|support has been removed from LMDeploy|(?P<cause2>\w+) is not supported by pytorch engine"
          r"|unsupported vl model with config (?P<cause3>.{1,200})"),
    _sign("lite-architecture", r"quantification and calibration of (?P<cause>\w+) are not supported"),
    _sign("lite-architecture", r"KeyError: <class '.*'>|KeyError: '(?P<cause>\w+)'", r"LAYER_TYPE_MAP"
          r"|FC_FCS_MAP|NORM_FCS_MAP"),
    _sign("bfloat16", r"does not supports? b(?:float|f)16|[Bb]float16 is only supported on"
          r"|no executable data type for this device"),
    # The machine's, where it speaks through the reader of a file.
    _sign("shm", r"No space left on device", r"multiprocessing/shared_memory\.py"),
    _sign("disk-fault", r"\[Errno (?:5|19|116|121)\]|os error (?:5|19|116|121)\b|Stale file handle"),
    _sign("shm", r"unable to (?:open|write|mmap|allocate|resize).{0,60}shared memory"
          r"|unable to (?:open|resize|write to|mmap \d+ bytes from)(?: the)? file </torch_"
          r"|insufficient shared memory \(shm\)|workers are out of shared memory"
          r"|Error while creating shared memory segment|/dev/shm.{0,200}No space left|No space left.{0,200}/dev/shm"
          r"|^Bus error|extend /dev/shm"),
    _sign("disk", r"No space left on device|os error 28\b|\[Errno 28\]|Disk quota exceeded|\[Errno 122\]"
          r"|inline_container\.cc:\d+\] \. unexpected pos|PytorchStreamWriter failed writing"),
    # The model's files.
    _sign("config-values", r"StrictDataclass\w*Error: (?P<cause>[\s\S]{1,200})"),
    _sign("config-values", r"AttributeError: module 'torch' has no attribute '(?P<cause>(?:float|bfloat|int"
          r"|half)\w*)'"),
    _sign("weights", r"JSONDecodeError|UnicodeDecodeError",
          r"_gather_shards|get_checkpoint_shard_files|safetensors_index|in _get_resolved_checkpoint_files"
          r"|in create_checkpoint"),
    _sign("weights-lfs", r"HeaderTooLarge|header too large|invalid load key, 'v'"),
    _sign("weights-pickle", r"Weights only load failed"),
    _sign("weights", r"SafetensorError|safetensors_rust|PytorchStreamReader failed|unexpected EOF|UnpicklingError"
          r"|Incomplete metadata, file not fully covered|file .* is not a valid safetensors"),
    _sign("weights-missing", r"Failed to find valid checkpoint under|failed to locate weight files under"
          r"|Error no file named .*(?:safetensors|\.bin)|Can't find a checkpoint index"
          r"|FileNotFoundError.*\.(?:safetensors|bin|pt|pth)(?:\.index\.json)?['\"]?$"
          r"|does not appear to have (?:a file|files) named (?:\('?)?\S*(?:\.safetensors|\.bin)"
          r"|No such file or directory: \S*\.safetensors|RuntimeError: Unknown weight type\.?$"),
    _sign("weights-tensor", rf"KeyError: [\"']+(?P<cause>{_WEIGHT_NAME})"
          rf"|no checkpoint tensors found at prefix '(?P<cause2>[^']*)'"
          r"|no weight format accepts tensors at '(?P<cause3>[^']*)'"),
    _sign("weights-tensor", r"KeyError: [\"']+(?P<cause>[\w.]+)", r"load_weights|turbomind/checkpoint\.py"
          r"|weight_loader"),
    _sign("weights-shape", r"Attempted to load weight \(.*|size mismatch for (?P<cause>\S+)|ignore_mismatched_sizes"
          r"|alloc byte_size=\d+ != shard\.nbytes|shape mismatch|w1/w3 output dims differ"
          r"|Check failed: \S*(?:embedding|weight|table)\S*\.shape\(.*\(\d+ vs\. \d+\)"),
    _sign("weights-shape", r"shape '.*' is invalid for input of size|must match the size of tensor"
          r"|mat1 and mat2 shapes cannot be multiplied|split_with_sizes expects",
          r"turbomind/|load_weights|weight_loader"),
    _sign("config-broken", r"config file at '(?P<cause>[^']+)' is not a valid JSON file"),
    _sign("config-broken", r"JSONDecodeError|UnicodeDecodeError", r"_dict_from_json_file|get_config_dict"),
    _sign("code-missing", r"(?:does not appear to have a file named"
          r"|No such file or directory: \S*/?)\s*(?P<cause>[\w./-]+\.py)\b"),
    _sign("config-missing", r"does not appear to have a file named (?:\S*/)?(?P<cause>config\.json"
          r"|preprocessor_config\.json)"
          r"|Can't load the configuration of|Unrecognized model in |Could not find model architecture from config"
          r"|No such file or directory: '\S*(?P<cause2>/config\.json)'|is not a valid JSON file"
          r"|Entry Not Found for url: \S*/config\.json"),
    _sign("tokenizer-broken", r"data did not match any variant of untagged enum|Error parsing line|ParseFromArray|"
          r"sentencepiece_processor\.cc|Cannot parse precompiled_charsmap|\bModelWrapper\b"
          r"|Unable to load vocabulary from file|could not parse ModelProto"),
    _sign("tokenizer", r"Unsupported tokenizer type|Not found: \"[^\"]*\.model\""),
    _sign("tokenizer", r"TypeError: not a string", r"sentencepiece/"),
    # What a newer transformers wrote and an older one can't read.
    _sign("package-version", r"Tokenizer class (?:TokenizersBackend|SentencePieceBackend"
          r"|PythonBackend) does not exist"
          r"|`rope_scaling` must be a dictionary with two fields"),
    _sign("package-version", r"AttributeError: 'list' object has no attribute 'keys'", r"special_tokens"),
    _sign("tokenizer-broken", r"KeyError: 'added_tokens'|JSONDecodeError|UnicodeDecodeError"
          r"|Exception: .*at line \d+ column \d+|missing field",
          r"tokenization_|tokenizer\.py|tokenizers/"),
    _sign("processor-broken", r"JSONDecodeError|UnicodeDecodeError|is not a valid JSON file",
          r"image_processing|processing_utils|processing_auto|feature_extraction"),
    _sign("tokenizer", r"Couldn't instantiate the backend tokenizer|Tokenizer class \w+ does not exist"
          r"|Can't load tokenizer for"
          r"|is not the correct path to a directory containing all relevant files for a \w+ tokenizer"),
    _sign("processor-missing", r"does not appear to have a file named (?:\S*/)?(?:pre)?processor_config\.json"
          r"|Can't load (?:image|feature|video)\s?(?:processor|extractor)"
          r"|Unrecognized (?:image )?(?:feature extractor|processing class|processor|image processor) in"),
    _sign("architecture", r"model type `?(?P<cause>[\w.-]+)`? but Transformers does not recognize this architecture"
          r"|Unrecognized configuration class <class '(?P<cause2>[^']+)'>"),
    _sign("architecture", r"KeyError: '(?P<cause>[\w.-]+)'", r"auto/configuration_auto\.py.*, in __getitem__"),
    # The model's own code.
    _sign("code-missing", r"No module named '(?P<cause>(?:configuration|modeling|tokenization|processing"
          r"|image_processing|conversation)_\w+)'"),
    _sign("code-folder", r"No module named 'transformers_modules\.(?P<cause>[^']+)'"),
    _sign("code-version", r"(?P<cause>AttributeError: '(?:\w+(?:Attention|DecoderLayer|ForCausalLM"
          r"|ForConditionalGeneration"
          r"|RotaryEmbedding|Cache|Tokenizer(?:Fast)?))' object has no attribute '\w+')"),
    _sign("code-version", r"(?P<cause>(?:AttributeError: .* has no attribute '\w+'"
          r"|TypeError: \S+\(\) (?:got an unexpected"
          r"|missing \d+ required).*|TypeError: 'NoneType' object .*|KeyError: 'default'"
          r"|ImportError: cannot import name '\w+'))", r"transformers_modules/"),
    _sign("code-version", r"(?P<cause>AttributeError: '\w+Model' object has no attribute '\w+')", r"transformers/"),
    _sign("trust", r"'dict' object has no attribute '(?:hidden_size|num_attention_heads|architectures|vocab_size)'"
          r"|trust_remote_code ?= ?True|contains custom code|requires you to execute (?:custom code"
          r"|the configuration file)"
          r"|--trust-remote-code"),
    # The machine.
    _sign("scheduler", r"\*\*\* (?:JOB .{0,80}(?P<cause>CANCELLED AT .{1,80}?)"
          r"|STEP .{0,80}(?P<cause4>CANCELLED AT \S+ DUE TO .{1,60}?)) \*\*\*"
          r"|(?P<cause2>PBS: job killed: .{1,80})|(?P<cause3>TERM_RUNLIMIT: .{1,80})"),
    _sign("memory-host", r"ray\.exceptions\.OutOfMemoryError|node running low on memory"),
    _sign("memory", r"CUDA (?:runtime )?error: (?:CUDA_ERROR_)?(?:out of memory|OUT_OF_MEMORY)|OutOfMemoryError"
          r"|CUDA out of memory"
          r"|cudaErrorMemoryAllocation|CUDA_ERROR_OUT_OF_MEMORY|CUBLAS_STATUS_ALLOC_FAILED"
          r"|Triton Error \[CUDA\]: out of memory|Cuda failure (?:2 )?'out of memory'"
          r"|CUDA driver error: out of memory|CUDNN_STATUS_ALLOC_FAILED|HIP out of memory"),
    _sign("memory-host", r"DefaultCPUAllocator: (?:can't|not enough)|Cannot allocate memory"
          r"|^(?:numpy\.\S*)?_?(?:Array)?MemoryError"
          r"|std::bad_alloc|\[Errno 12\]|os error 12\b|^Killed\b|Unable to allocate .* for an array"),
    _sign("files-open", r"\[Errno 24\]|[Tt]oo many open files"),
    _sign("threads", r"can't start new thread|pthread_create (?:failed|error)"
          r"|\[Errno 11\] Resource temporarily unavailable"
          r"|BlockingIOError|Resource temporarily unavailable"),
    _sign("port-inner", r"server socket has failed to listen.{0,80}port: (?P<cause>\d+).*EADDRINUSE"),
    _sign("port", r"\[Errno 98\]|[Aa]ddress already in use|EADDRINUSE|Port \d+ is not available|\[Errno 48\]"),
    _sign("port-denied", r"\[Errno 13\] error while attempting to bind"),
    _sign("port-number", r"port must be (?:between 1 and|0-)\s?65535|getsockaddrarg: port must be"
          r"|server_port \d+ cannot"),
    _sign("address", r"\[Errno 99\]|[Cc]annot assign requested address|could not bind on any address"),
    _sign("address", r"^ERROR: +\[Errno -\d+\]"),
    _sign("address", r"gaierror", r"create_server|in startup|uvicorn/server"),
    _sign("ssl-file", r"FileNotFoundError|PermissionError|SSLError|\[SSL\]|PEM lib", r"load_cert_chain"
          r"|create_ssl_context"),
    _sign("ssl-file", r"KeyError: 'SSL_(?:KEY|CERT)FILE'"),
    _sign("driver-mismatch", r"Driver/library version mismatch|LibRmVersionMismatch|NVML/RM version mismatch"),
    _sign("fabric", r"system not yet initialized|Error 802\b|cudaErrorSystemNotReady"),
    _sign("driver", r"NVIDIA driver on your system is too old|CUDA driver version is insufficient"
          r"|forward compatibility was attempted on non supported HW|cudaErrorInsufficientDriver"
          r"|unsupported display driver / cuda driver combination|compiled with an unsupported toolchain"
          r"|CUDA_ERROR_UNSUPPORTED_PTX_VERSION|PTX was compiled"),
    _sign("kernel-image", r"no kernel image is available|CUDA_ERROR_NO_BINARY_FOR_GPU|device kernel image is invalid"
          r"|is not compatible with the current PyTorch installation|cudaErrorNoKernelImageForDevice"
          r"|invalid value for --gpu-architecture"),
    _sign("gpu-old", r"FlashAttention only supports|requires \.target (?P<cause>sm_\d+) or higher"
          r"|only supported (?:for|on) (?:GPUs with )?(?:compute capability|SM ?\d|Ampere)"),
    _sign("gpu-virtual", r"CUDA (?:runtime |driver )?error: (?P<cause>operation not (?:supported|permitted))"
          r"|cudaErrorNotSupported"),
    _sign("gpu-busy", r"devices?(?:\(s\))? (?:is/are|are|is) busy or unavailable|all CUDA-capable devices are busy"
          r"|cudaErrorDevicesUnavailable"),
    _sign("gpu-hardware", r"GPU is lost|fallen off the bus|uncorrectable ECC|cudaErrorECCUncorrectable"
          r"|hardware stack error|CUDA error: unknown error|NVLink"),
    _sign("no-gpu", r"No CUDA GPUs are available|no CUDA-capable device|Found no NVIDIA driver"
          r"|cuda is not available\."
          r"|not compiled with CUDA enabled|compiled without CUDA support|cudaErrorNoDevice"
          r"|CUDA driver initialization failed"
          r"|Unexpected error from cudaGetDeviceCount|CUDA unknown error - this may be due to|0 active drivers"
          r"|CUDA error: initialization error|CUDA error: invalid device\b|DriverNotLoaded|Driver Not Loaded"
          r"|no GPUs found!|can't find any GPU|libcuda\.so.{0,40}(?:cannot|not) (?:open|found)"
          r"|libcuda\.so cannot found"),
    # Compilers, libraries, packages.
    _sign("compiler", r"Failed to find C compiler|No such file or directory: '(?:gcc|cc|clang|c\+\+|g\+\+)'"
          r"|c\+\+: not found|InvalidCxxCompiler|No working C\+\+ compiler"),
    _sign("python-headers", r"fatal error: Python\.h"),
    _sign("cuda-toolkit", r"CUDA_HOME (?:environment variable is not set|not found)|[Cc]ould not find nvcc"
          r"|nvcc: (?:command )?not found"
          r"|No such file or directory: '\S*nvcc'|Cannot find ptxas|fatal error: cuda(?:_runtime)?\.h"),
    _sign("compiler", r"CalledProcessError: Command '?\[?'\S*(?:gcc|g\+\+|clang|cc|c\+\+)'|cannot find -lcuda"
          r"|Ninja is required to load C\+\+ extensions|Error building extension"),
    _sign("triton-resources", r"out of resource: (?P<cause>[\w ]+)|OutOfResources"),
    _sign("triton", r"CompilationError|PTXASError|ptxas (?:fatal|error)|Triton Error \[CUDA\]"
          r"|PassManager::run failed|LLVM ERROR"),
    _sign("gptqmodel", r"[Rr]equires? gptqmodel|pip install gptqmodel|gptqmodel`? (?:is|package)"),
    _sign("glibc", r"version `(?P<cause>(?:GLIBC|GLIBCXX|CXXABI)_[\d.]+)' not found"),
    _sign("library-system", r"(?P<cause>lib(?:GL|EGL|SM|X\w+|gthread\S*|glib\S*|gomp|ibverbs|rdmacm|mlx5|numa"
          r"|sndfile|mpi\S*"
          r"|openblas|crypt|ssl|ffi|stdc\+\+|rt|z)\b[\w.+-]*\.so[\d.]*): cannot open shared object file"),
    _sign("library", r"(?P<cause>lib[\w.+-]*\.so[\d.]*): cannot open shared object file"
          r"|Unable to load any of \{(?P<cause2>lib\w+\.so[\d.]*)|Could not load library (?P<cause3>lib\w+\.so[\d.]*)"
          r"|Cannot load symbol (?P<cause4>\w+)"),
    _sign("library-mismatch", r"undefined symbol: (?P<cause>\w+)|operator torchvision::nms does not exist"
          r"|DLL load failed|symbol \S+ version \S+ not defined|cuDNN version incompatibility"
          r"|'_turbomind\.\w+' object has no attribute"),
    _sign("turbomind-missing", r"No module named '(?:lmdeploy\.lib\.)?_turbomind'|cannot import name '_turbomind'"
          r"|TurboMind was requested but its native module is unavailable"),
    _sign("cpu-old", r"^Illegal instruction"),
    _sign("heap", r"^(?P<cause>(?:malloc\(\)|free\(\)|munmap_chunk\(\)): .{1,80}|double free or corruption.{0,20}"
          r"|corrupted (?:size|double-linked).{1,40})"),
    _sign("locale", r"UnicodeEncodeError: '(?:ascii|latin-1|charmap)' codec"),
    # The hubs.
    _sign("hub-proxy", r"ProxyError|[Cc]annot connect to proxy|407 Proxy|the 'socksio' package is not installed"
          r"|Unknown scheme for proxy URL|Missing dependencies for SOCKS support"),
    _sign("hub-gated", r"GatedRepoError|Cannot access gated repo|is a gated repository|trying to access a gated repo"
          r"|403 (?:Client Error|Forbidden)|is restricted\. You must|LocalTokenNotFoundError|Token is required"),
    _sign("hub-missing", r"RepositoryNotFoundError|Repository Not Found"
          r"|is not a local folder or a valid repository name"
          r"|401 Client Error|Invalid username or password|404 Client Error|DatasetNotFoundError"
          r"|modelscope\.\S*NotExistError"),
    _sign("hub-revision", r"RevisionNotFoundError|is not a valid git identifier"),
    _sign("hub-limit", r"429 (?:Too Many Requests|Client Error)"),
    _sign("hub-down", r"(?P<cause>\b50[0234]) Server Error|Server error '(?P<cause2>50[0234])"),
    _sign("offline", r"UNEXPECTED_EOF_WHILE_READING|EOF occurred in violation of protocol"),
    _sign("hub-certificate", r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|SSLError"),
    _sign("hub-broken", r"Consistency check failed: file should be of size|IncompleteRead|ChunkedEncodingError|"
          r"ContentDecodingError|peer closed connection without sending complete message"),
    _sign("offline", r"OfflineModeIsEnabled|LocalEntryNotFoundError|[Cc]ouldn't connect to 'https?://"
          r"|outgoing traffic has been disabled|trying to locate the files on the Hub|MaxRetryError|ConnectTimeout"
          r"|Cannot send a request|Couldn't reach|offline mode is enabled|CAS service error|ReqwestMiddleware Error"),
    _sign("offline", r"Errno -[235]\]|Network is unreachable|Connection (?:refused|timed out)|ReadTimeout"
          r"|ConnectError"
          r"|Server disconnected|RemoteDisconnected|No route to host|Connection (?:aborted|reset by peer)",
          r"huggingface_hub|urllib3|requests/|httpx|datasets/|modelscope"),
    _sign("path", r"Repo id must be in the form|Repo id must use alphanumeric"
          r"|is not a local folder and is not a valid model identifier|Incorrect path_or_model_id"
          r"|Cannot have -- or \.\. in repo_id|NotADirectoryError: \[Errno 20\]"),
    _sign("permission", r"PermissionError: \[Errno 1?3\] Permission denied: '(?P<cause>[^']+)'"
          r"|PermissionError at (?P<cause2>\S+)"
          r"|\[Errno 30\] Read-only file system: '(?P<cause3>[^']+)'|PermissionError: \[Errno 1\].*|os error 13\b"),
    # Packages: an engine tries many that it can do without, so these come late.
    _sign("module", r"packages that were not found in your environment: (?P<cause>[\w-]+)"
          r"|requires the (?P<cause2>[\w-]+) library but it was not found"
          r"|the package (?P<cause3>\w+) seems to be not installed"
          r"|requires <(?P<cause4>\w+)>|ImportError: .{0,200}requires `(?P<cause5>[\w-]+)`"
          r"|requires (?:`(?P<cause15>[\w-]+)`(?=.{0,200}install)|(?P<cause6>accelerate|sentencepiece"
          r"|tiktoken|protobuf|compressed[-_]tensors|bitsandbytes|autoawq|optimum))(?: |:|,|\.)"
          r"|`(?P<cause7>tiktoken|sentencepiece|protobuf|blobfile)` is required"
          r"|[Pp]lease install \S+ by `?pip install (?P<cause16>git\+[^\s`]+)"
          r"|[Pp]lease install (?P<cause8>[\w-]+) (?:by|via) `?pip|(?P<cause9>DeepEP) is (?:not installed|required)"
          r"|requires install (?P<cause12>DeepEP)|'(?P<cause13>\w+)' package is not available in your environment"
          r"|No video backend found\. Install either (?P<cause14>[\w-]+)"
          r"|Failed to import (?P<cause10>peft)|Cannot find a working (?P<cause17>triton) installation"
          r"|[Uu]sing .{0,120}requires .*pip install ['\"`]*(?P<cause11>[\w-]+)"),
    # The package is there, and lacks a part that another version has. Of a namespace many packages have a part.
    _sign("package-version", r"ModuleNotFoundError: No module named '(?P<cause>(?!(?:google|PIL|nvidia|cuda|azure"
          r"|ruamel|backports|zope)\.)[^'.]+)\.[^']+'"),
    _sign("module", r"ModuleNotFoundError: No module named '(?P<cause>[^'.]+)"
          r"|^\S*python[\d.]*: No module named (?P<cause2>\w+)"),
    _sign("package-version",
          r"ImportError: (?P<cause>[\w.-]+ ?[<>=!]=? ?[\w.,<>=! ]+) is required for a normal functioning"
          r"|(?P<cause2>triton ?>=[\d.]+) is required|cannot import name '\w+' from '(?P<cause3>[\w]+)"
          r"|requires (?P<cause4>transformers ?[<>=]+ ?[\d.]+|version \S+ of transformers)"
          r"|install latest (?P<cause5>transformers)|requires (?:at least )?PyTorch|compiled using NumPy 1\.x"
          r"|module '(?P<cause6>torch|transformers|numpy|triton)[\w.]*' has no attribute"
          r"|(?P<cause7>transformers) version .{0,40}(?:required|at least)|Your currently installed version"
          r"|requires (?P<cause8>transformers version [<>=]+ ?[\d.]+)|require users to upgrade (?P<cause9>torch)"
          r"|(?P<cause10>numpy)\.\w+ size changed|_ARRAY_API not found|(?P<cause11>Numpy) is not available"
          r"|(?P<cause13>numpy)\.core\.\w+ failed to import"
          r"|compiled against (?:ABI|API) version|Descriptors cannot (?:not )?be created directly"
          r"|(?P<cause12>pydantic)\.errors\.\w+|Invalid pattern: '\*\*' can only be"),
    _sign("arguments", r"(?:unrecognized arguments|No such (?:option|command)|invalid choice"
          r"|the following arguments are required"
          r"|expected (?:one|at least one) argument|invalid \w+ value|ambiguous option|^(?:Error: |│ )Invalid value"
          r"|Missing (?:argument|option)"
          r"|error: argument \S+:|Got unexpected)(?P<cause>).*"),
    _sign("setting", r"validation errors? for (?:Turbomind"
          r"|Pytorch)EngineConfig\n\s*(?:\w+\n\s*)?(?P<cause>.+?)(?: \[type=|\n|$)"
          r"|^AssertionError: (?P<cause2>(?:invalid|kernel_block_size|block_size|max_batch_size|tp must|ep must) ?.*)"
          r"|invalid quant_policy: (?P<cause3>\S+)|(?P<cause4>--[\w-]+ is supported only by the PyTorch engine)"
          r"|(?P<cause5>Please set block_size to 64 for flash_mla)|ValueError: (?P<cause6>unsupported kv_role.*"
          r"|kv_\w+ must.*)"
          r"|Unsupported device type: (?P<cause7>\w+)"
          r"|EngineConfig\.__init__\(\) got an unexpected keyword argument '(?P<cause9>\w+)'"
          r"|AssertionError: (?P<cause10>.*(?:must be a positive integer, got|communicator only supports"
          r"|only supports nccl).*)"
          r"|(?P<cause11>DP > 1 requires .*)|check failed!\s*(?P<cause12>(?:Unsupported distributed|Does not support"
          r"|ep>1 requires ep|Enable eplb).*)"),
    _sign("config-attribute", r"AttributeError: '\w+Config' object has no attribute '(?P<cause>\w+)'"),
    _sign("proxy-node", r"Service registration failed"),
    _sign("config-values", r"(?P<cause>(?:KeyError|ZeroDivisionError|AttributeError: '(?:list|str"
          r"|NoneType)'.*)(?:: .{1,100})?)",
          r"activations\.py|rope_utils|configuration_\w+\.py|pytorch/configurations/"
          r"|models/\w+/modeling_\w+\.py\S*, line \d+, in __init__"),
    _sign("json-broken", r"json\.decoder\.JSONDecodeError", r"transformers/|lmdeploy/|huggingface_hub/"),
    _sign("file-missing", r"FileNotFoundError: \[Errno 2\] No such file or directory: '(?P<cause>[^']+)'"),
    _sign("interrupted", r"^KeyboardInterrupt$|Received signal (?:2|15)\b", dragged=True),
    # What is dragged along behind another cause.
    _sign("cuda-crash", r"CUDA (?:runtime )?error: (?P<cause>an illegal memory access|an illegal instruction"
          r"|unspecified launch failure"
          r"|device-side assert|the launch timed out|invalid (?:argument|configuration argument"
          r"|program counter))"
          r"|(?P<cause2>(?:CUBLAS|CUDNN)_STATUS_(?:EXECUTION_FAILED|INTERNAL_ERROR|INVALID_VALUE|NOT_SUPPORTED"
          r"|BAD_PARAM))"
          r"|cudaErrorIllegalAddress", dragged=True),
    _sign("cuda-crash", r"(?P<cause>(?:CUBLAS|CUDNN)_STATUS_NOT_INITIALIZED)", dragged=True),
    _sign("triton", r"device is functioning properly with <Triton>", dragged=True),
    _sign("nodes", r"client socket has (?:failed|timed out)|DistNetworkError|DistStoreError"
          r"|waiting for clients\. \d+/\d+"
          r" clients joined", dragged=True),
    _sign("nccl", r"NCCL error|ncclInternalError|ncclUnhandledCudaError|ncclSystemError|ncclRemoteError"
          r"|DistBackendError"
          r"|NCCL WARN|ncclInvalidUsage|Watchdog caught collective operation timeout"
          r"|Connection closed by peer|peer access is not supported", dragged=True),
    _sign("ray-version", r"Version mismatch: The cluster was started with", dragged=True),
    _sign("ray-start", r"Could not find any running Ray instance|node timed out during startup"
          r"|Unable to connect to GCS"
          r"|Failed to connect to GCS", dragged=True),
    _sign("ray-worker", r"ray\.exceptions\.|ActorDiedError|Ray worker exited|raylet", dragged=True),
    # Without a reason: srun ends a step's other processes as one fails.
    _sign("scheduler", r"\*\*\* STEP .{0,80}(?P<cause>CANCELLED AT .{1,80}?) \*\*\*", dragged=True),
)  # fmt: skip
