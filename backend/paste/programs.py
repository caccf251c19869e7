"""Which program a word calls, and what the console has for those that serve no model. Pure."""

import re
from collections.abc import Mapping

from backend.paste.words import Token

WRAPPERS = frozenset(
    [
        "sudo",
        "nohup",
        "env",
        "exec",
        "time",
        "nice",
        "ionice",
        "stdbuf",
        "setsid",
        "screen",
        "tmux",
        "timeout",
        "srun",
        "salloc",
        "torchrun",
        "xvfb-run",
        "chrt",
        "taskset",
        "command",
        "builtin",
        "start",
        "call",
        "cmd",
        "numactl",
        "unbuffer",
        "script",
        "caffeinate",
        "conda-run",
        "proxychains",
        "proxychains4",
        "do",
        "then",
        "else",
        "run",
    ]
)
APPTAINERS = frozenset(["apptainer", "singularity"])
RUNNERS = APPTAINERS | {"conda", "mamba", "micromamba", "uv", "poetry", "pipenv", "pdm", "pixi", "hatch"}
DOCKERS = frozenset(["docker", "podman", "nerdctl", "docker-compose", "nvidia-docker"])
SHELLS = frozenset(["bash", "sh", "zsh", "fish", "dash", "ksh", "powershell", "pwsh", "cmd", "su", "wsl"])
# What is no server, by its kind: the message's key is "paste.{kind}", with the tab where the same is seen here.
_KINDS = {
    "smi": ("vram", "nvidia-smi studio-smi nvitop gpustat rocm-smi nvtop npu-smi"),
    "host": ("vram", "free top htop btop vmstat"),
    "du": ("quantize", "du df"),
    "environment": (
        "", "conda mamba micromamba source . activate deactivate workon module pyenv virtualenv studio-conda"
    ),
    "install": ("", "pip pip3 uv apt apt-get yum dnf brew npm poetry pipx"),
    "folders": (
        "", "cd ls ll mkdir ln cp mv rm pwd touch chmod chown tar unzip tree dir find rsync scp pushd popd git"
    ),
    "looks": ("", "cat vim vi nano tail head less grep code jq tee sed awk"),
    "session": (
        "",
        "kill pkill killall ps exit logout jobs fg bg lsof netstat ss clear sleep wait history tmux screen nohup",
    ),
    "prints": ("", "echo printf which where whoami hostname uname date"),
    "script": ("", "jupyter streamlit gradio ipython node"),
}  # fmt: skip
ADVICE: Mapping[str, tuple[str, str]] = {
    name: (f"paste.{kind}", tab) for kind, (tab, names) in _KINDS.items() for name in names.split()
}
_PYTHON = re.compile(r"(?:python|py|pypy)[\d.]*(?:w)?")
_CODE = re.compile(
    r"\s*(?:from\s+[\w.]+\s+import\b|import\s+[\w.]+|print\(|def\s+\w+\(|class\s+\w+|for\s+\w+\s+in\b|if\s+__name__|@\w+"
    r"|(?!export\b|set\b)[\w.\[\]\"']+\s+=\s+\S|\w+(?:\.\w+)*\(|[\w]+=[\w.\[\"'{(].*,\s*$|[)\]}]+,?\s*$|\w+=[\w.]+\(|\w+=[\w.\"'\-]+\)+\s*$|return\b|with\s+\w+|try:|except\b)"
)


def program(word: str) -> str:
    """The program's name: without its folder, ``.exe`` and capitals."""
    name = re.split(r"[/\\]", word.strip().strip("`'\"[],:："))[-1].lower()
    return name.removesuffix(".exe")


def is_python(name: str) -> bool:
    """Whether the word calls a Python."""
    return bool(_PYTHON.fullmatch(name))


def is_code(line: str) -> bool:
    """Whether a line is Python rather than a command."""
    return bool(_CODE.match(line))


def module_of(words: list[Token]) -> tuple[int, str]:
    """``python -u -m vllm.entrypoints…``: the place of the module's name among the words, and the name; (0, "") for
    another call."""
    for place, word in enumerate(words[1:6], start=1):
        if word.text == "-m" and place + 1 < len(words):
            return place + 1, words[place + 1].text.lower()
        if word.text.startswith("-m") and len(word.text) > 3 and not word.text.startswith("--"):
            return place, word.text[2:].lower()
        if not word.text.startswith("-"):
            break
    return 0, ""


def plain_name(word: str) -> str:
    """A subcommand as LMDeploy has it: ``api-server``, ``API_SERVER``, with a mark behind it by chance."""
    return word.strip().strip("`'\",，。;；").lower().replace("-", "_")
