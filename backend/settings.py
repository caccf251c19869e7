"""The console's own settings, made once from the command line by app.py."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where the console listens, looks and writes.

    ``state_dir`` (mode 0700) holds the database, tokens, keys, logs and uploads; nothing is written elsewhere,
    save quantized models where a person asked for them. ``models`` are the folders given with ``--models``.
    ``port`` 0 or None with ``port_asked`` false means: the default port or the next free one.
    """

    host: str
    port: int
    port_asked: bool
    state_dir: Path
    models: tuple[Path, ...]
    lmdeploy: tuple[Path, ...]  # Pythons given with --lmdeploy
    language: str  # "en" or "zh": the first visit's, where the browser names neither
    root_path: str
    open_browser: bool
    api_origins: tuple[str, ...] = ()  # web pages elsewhere that may use /v1 (given with --api-origin)

    @property
    def runs_dir(self) -> Path:
        """One folder per started command: its log, its exit status."""
        return self.state_dir / "runs"

    @property
    def keys_dir(self) -> Path:
        """API keys, one file each, mode 0600."""
        return self.state_dir / "keys"

    @property
    def uploads_dir(self) -> Path:
        """Pictures and texts that visitors sent; Gradio's temporary folder too."""
        return self.state_dir / "uploads"
