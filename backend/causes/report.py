"""What a person hands on who asks for help: versions, settings and log, without keys, accounts and folders. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence

from backend.causes.evidence import BEFORE

LINES_KEPT = 200
HIDDEN = "***"
_SECRETS = (
    # "--api-keys a b", "HF_TOKEN=x", "token: x", "password='x'"
    re.compile(r"(?i)(--(?:api-?keys?|hf-token|token|password)(?:[= ]+))(?!-)\S+(?: (?!-)\S+)*"),
    re.compile(r"(?i)(\b[\w-]*(?:token|password|passwd|secret|api[_-]?keys?"
    r"|access[_-]?key)\b[\"']?\s*[=:]\s*[\[(\"']*)[^\s\"',)\]]{3,}"),
    re.compile(r"(?i)(\bauthorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic)?\s*)\S+"),
    re.compile(r"(?i)(\bbearer\s+)\S+"),
    re.compile(r"(?i)([?&](?:token|key|signature|x-amz-\w+|access_token)=)[^&\s]+"),
    re.compile(r"(://)[^/\s@:]+:[^/\s@]+(?=@)"),
    re.compile(r"()\b(?:hf|sk|ms|gh[pousr]|github_pat|glpat|xox[abp])[-_][A-Za-z0-9_-]{8,}"),
    re.compile(r"()\beyJ[\w-]{10,}\.[\w-]+\.[\w-]*"),
    re.compile(r"()\b[\w.+-]+@[\w-]+\.[\w.-]*\w"),
)  # fmt: skip
_PACKAGES = re.compile(r"(?:/[^/\s:'\"]+)+/(?=(?:site|dist)-packages/)")
_PYTHON = re.compile(r"(?:/[^/\s:'\"]+)+/(?=lib(?:64)?/python3)")
_FOLDER = re.compile(r"(?<![\w.:/…~])/(?:[^/\s'\",:;()\[\]{}<>]+/)+(?=[^/\s])")
_SYSTEM = ("/usr/", "/lib/", "/lib64/", "/dev/", "/proc/", "/sys/", "/bin/", "/opt/conda/lib/")


def report(head: Sequence[tuple[str, str]], log: Iterable[str], folders: Mapping[str, str]) -> str:
    """The text: ``head`` by lines, then the log's end. ``folders`` maps paths to what stands for them."""
    lines = [BEFORE.sub("", line) for line in log][-LINES_KEPT:]
    parts = [f"{name}: {value}" for name, value in head if value]
    return without_secrets("\n".join([*parts, "", "```", *lines, "```", ""]), folders)


def without_secrets(text: str, folders: Mapping[str, str]) -> str:
    """The text without keys, tokens, mail addresses, and what a path says of people and projects."""
    for folder in sorted(filter(None, folders), key=len, reverse=True):
        text = re.sub(re.escape(folder.rstrip("/")) + r"(?![\w.-])", folders[folder].replace("\\", ""), text)
    for secret in _SECRETS:
        text = secret.sub(rf"\g<1>{HIDDEN}", text)
    for folders_of in (_PACKAGES, _PYTHON, _FOLDER):
        text = folders_of.sub(lambda found: found[0] if found[0].startswith(_SYSTEM) else "…/", text)
    return text
