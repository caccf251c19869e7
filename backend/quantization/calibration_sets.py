"""LMDeploy's calibration datasets: where each comes from, whether it is in the cache, whether it can be downloaded."""

import os
import re
from pathlib import Path

import httpx

from backend.machine.clients import client_options

HUB = "https://huggingface.co"
TIMEOUT_S = 5.0
# LMDeploy's names (lite/utils/calib_dataloader.py); a newer LMDeploy's others are offered without this knowledge.
DATASETS = {
    "wikitext2": "wikitext",
    "c4": "allenai/c4",
    "pileval": "mit-han-lab/pile-val-backup",
    "gsm8k": "openai/gsm8k",
    "neuralmagic_calibration": "neuralmagic/calibration",
    "open-platypus": "garage-bAInd/Open-Platypus",
    "openwebtext": "Skylion007/openwebtext",
}


def cache_folder() -> Path:
    """Where the datasets library keeps what it prepared, by its own rules."""
    if cache := os.environ.get("HF_DATASETS_CACHE"):
        return Path(os.path.expanduser(cache))
    if home := os.environ.get("HF_HOME"):
        return Path(os.path.expanduser(home)) / "datasets"
    return Path(os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")) / "huggingface" / "datasets"


def is_cached(name: str) -> bool:
    """Whether the dataset has been prepared on this machine before, so that it loads without a network."""
    repository = DATASETS.get(name)
    if repository is None:
        return False
    wanted = _plain(repository)
    try:
        folders = [folder for folder in cache_folder().iterdir() if _plain(folder.name) == wanted]
    except OSError:
        return False
    return any(next(folder.rglob("dataset_info.json"), None) is not None for folder in folders)


def is_reachable(name: str, mirror: str = "") -> bool:
    """Whether the hub, or the mirror in its place, answers for that dataset. Takes up to TIMEOUT_S."""
    base = (mirror or os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
    repository = DATASETS.get(name, name)
    try:
        options = client_options(base, with_key=False) | {"follow_redirects": True}
        with httpx.Client(**options, timeout=TIMEOUT_S) as client:
            answer = client.get(f"{base}/api/datasets/{repository}")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return False
    return answer.status_code == httpx.codes.OK


def availability(name: str, mirror: str = "") -> str:
    """ "cached", "reachable" or "neither"."""
    if is_cached(name):
        return "cached"
    return "reachable" if is_reachable(name, mirror) else "neither"


def _plain(name: str) -> str:
    """The name without what the cache changes in it: case, dashes, slashes."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
