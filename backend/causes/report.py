"""What a person hands on who asks for help: versions, settings and log, without keys, accounts and folders. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence

from backend.causes.evidence import BEFORE

LINES_KEPT = 200
HIDDEN = "***"
_FLAGS = r"--(?:api-?keys?|hf-token|token|password)"
_SECRETS = (
    re.compile(r"()-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"),
    re.compile(r"()\b(?:ssh-\w+|ecdsa-\S+)\s+[A-Za-z0-9+/=]{16,}"),
    # "--api-keys a b", "['--api-keys', 'a', 'b']", "api_keys=['a', 'b']"
    re.compile(rf"(?i)({_FLAGS}(?:[= ]+))(?!-)\S+(?: (?!-)\S+)*"),
    re.compile(rf"(?i)(['\"]{_FLAGS}['\"])(?:\s*,\s*['\"](?!-)[^'\"]*['\"])+"),
    re.compile(r"(?i)(\b[\w-]*api[_-]?keys?\\?[\"']?\s*[=:]\s*)[\[(][^\])]*[\])]"),
    # "HF_TOKEN=x", "token: x", "password='x'", "\"secret\": \"x\"", "token%3Dx"
    re.compile(r"(?i)(\b[\w-]*(?:token|password|passwd|passphrase|secret|credentials?|api[_-]?keys?|private[_-]?key"
    r"|access[_-]?key(?:[_-]?id)?)\b[\"'\\]*\s*(?:[=:]|%3D)\s*[\[(\"'\\]*)[^\s\"',)\]\\]{3,}"),
    re.compile(r"(?i)(\b(?:password|passphrase) is )\S+"),
    re.compile(r"(?i)(\b(?:set-)?cookie[\"']?\s*:\s*).+"),
    re.compile(r"(?i)(\bauthorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic)?\s*)\S+"),
    re.compile(r"(?i)(\bbearer\s+)\S+"),
    re.compile(r"(?i)([?&](?:token|key|sig|signature|x-amz-\w+|access_token)=)[^&\s]+"),
    re.compile(r"(://)[^/\s@]+(?=@)"),
    re.compile(r"(https?://[^/\s]+/)[0-9a-f]{32}\b"),  # a console's own secret path
    re.compile(r"()\b(?:hf|sk|ms|gh[pousr]|github_pat|glpat|xox[abp])[-_][A-Za-z0-9_-]{8,}"),
    re.compile(r"()\b(?:AKIA[0-9A-Z]{12,}|AIza[\w-]{20,})"),
    re.compile(r"()\beyJ[\w-]{10,}\.[\w-]+\.[\w-]*"),
    # mail addresses, logins
    re.compile(r"()\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*"),
    re.compile(r"(\bssh\b[^\n]*? -l ?)\S+(?: [\w.-]+)?"),
    re.compile(r"(\b(?:USER|LOGNAME|USERNAME|SUDO_USER)[\"']?\s*[=:]\s*[\"']?)[^\s\"',;]+"),
)  # fmt: skip
_PACKAGES = re.compile(r"(?:/[^/\s:'\"]+)+/(?=(?:site|dist)-packages/)")
_PYTHON = re.compile(r"(?:/[^/\s:'\"]+)+/(?=lib(?:64)?/python3)")
_NO_NAME = r"\s'\",:;()\[\]{}<>"
_BEGINS = r"(?:(?<![\w./…~])|(?<=file://))"
# A person's folder, whose name may have blanks in it where more follows; then everything else.
_HOME = re.compile(
    rf"{_BEGINS}/(?:home|Users)/"
    rf"(?:[^/\n'\",:;()\[\]{{}}<>&|=$]{{1,40}}/(?:[^/{_NO_NAME}]+/)*|[^/{_NO_NAME}]+)"
)
_TILDE = re.compile(rf"(?<![\w/])~[\w.-]+/(?:[^/{_NO_NAME}]+/)*")
_WINDOWS = re.compile(r"\b[A-Za-z]:\\+(?:[^\\\s'\"]+\\+)+")
_FOLDER = re.compile(rf"{_BEGINS}/(?:[^/{_NO_NAME}]+/)+(?=[^/\s])")
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
    text = without_keys(text)
    for folders_of in (_PACKAGES, _PYTHON, _HOME, _TILDE, _WINDOWS, _FOLDER):
        text = folders_of.sub(lambda found: found[0] if found[0].startswith(_SYSTEM) else "…/", text)
    return text


def without_keys(text: str) -> str:
    """The text without keys, tokens, passwords, mail addresses and logins."""
    for secret in _SECRETS:
        text = secret.sub(rf"\g<1>{HIDDEN}", text)
    return text
