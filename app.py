"""LMDeploy Console: arguments → Settings → Services → the ASGI application → uvicorn."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

import uvicorn

from backend.errors import ConsoleError, InvalidInput, Unavailable
from backend.errors import Message as Sentence
from backend.memory.nvml import Nvml
from backend.processes.instance import InstanceLock, RunningInstance
from backend.services import build_services, find_environments
from backend.settings import Settings
from backend.terminal import log_to, outlive_terminal
from backend.tokens import keep_token
from ui.access import Role
from ui.cli import CommandLine, check_text, page_address, parse_command_line, ssh_line
from ui.guard import is_loopback
from ui.i18n import Language, say, t
from ui.ssh import SshLogin
from ui.ssh_login import load_login

PORTS_TRIED = 50
CHECK_SECONDS = 60.0
END_SECONDS = 1.2  # from the signal to the end, whatever still runs
GRACE_SECONDS = 0.4  # of it, for requests that are under way; event streams never end by themselves


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the console until a signal ends it. Returns the exit code: 0, or 1 where it couldn't start."""
    command_line = parse_command_line(sys.argv[1:] if arguments is None else arguments)
    outlive_terminal()
    try:
        return run(command_line)
    except ConsoleError as error:
        for message in error.messages:
            text = say(message, command_line.language)
            print(t("cli.error", command_line.language, {"text": text}), file=sys.stderr)
        return 1


def run(command_line: CommandLine) -> int:
    """The console's life, from an empty process to its last line."""
    settings, language = command_line.settings, command_line.language
    make_state_folders(settings)
    if command_line.check:
        return check(settings, language)
    prepare_environment(settings)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal may go; the console and its servers stay
    lock = InstanceLock(settings.state_dir)
    running = lock.acquire()
    if running is not None:
        return say_running(running, language)
    log_to(settings.state_dir / "console.log")
    tokens = {
        Role.OPERATOR: keep_token(settings.state_dir / "token"),
        Role.CLASS: keep_token(settings.state_dir / "class-token"),
    }
    listener = listen(settings)
    port = listener.getsockname()[1]
    # Only now: Gradio reads its environment when it is imported, and takes seconds.
    from ui.application import create_app

    services = build_services(settings)
    try:
        server = ConsoleServer(
            uvicorn.Config(
                create_app(services, tokens),
                http="h11",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE_SECONDS,  # type: ignore[arg-type]  # a float serves as well
            ),
            lambda: announce(settings, language, port, tokens, lock, load_login(services.store)),
        )
        asyncio.run(server.serve(sockets=[listener]))
    finally:
        services.close()
        listener.close()
        lock.release()
    print(t("cli.stopped", language), flush=True)
    return 0


def check(settings: Settings, language: Language) -> int:
    """Prints whether each environment's LMDeploy, torch and CUDA fit this machine's driver and GPUs."""
    nvml = Nvml()
    finder = find_environments(settings, nvml)
    try:
        print(check_text(finder.machine(wait_s=CHECK_SECONDS), language))
    finally:
        finder.close()
        nvml.close()
    return 0


def make_state_folders(settings: Settings) -> None:
    """Makes the state directory and its folders, readable by their owner alone."""
    try:
        for folder in (settings.state_dir, settings.runs_dir, settings.keys_dir, settings.uploads_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        probe = settings.state_dir / f".write-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise Unavailable(Sentence("cli.state_unusable", {"path": str(settings.state_dir), "reason": reason})) from None


def prepare_environment(settings: Settings) -> None:
    """What Gradio and the Hugging Face libraries read from the environment: nothing leaves this machine."""
    os.environ.update(
        GRADIO_ANALYTICS_ENABLED="False",
        GRADIO_ANALYTICS_CACHE_FREQUENCY="1000000000",  # no summary of usage at every event
        GRADIO_TEMP_DIR=str(settings.uploads_dir),
        HF_HUB_OFFLINE="1",
        HF_HUB_DISABLE_TELEMETRY="1",
    )
    for name in ("no_proxy", "NO_PROXY"):
        known = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join(dict.fromkeys([*known, "localhost", "127.0.0.1", "::1"]))


def listen(settings: Settings) -> socket.socket:
    """A bound socket on the asked port, or on the default one or the next that is free.

    Raises InvalidInput where the asked port is taken, no port is free, or the host isn't this machine's.
    """
    last = settings.port if settings.port_asked else settings.port + PORTS_TRIED
    for port in range(settings.port, last + 1):
        try:
            family, _, _, _, address = socket.getaddrinfo(
                settings.host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(address)
                listener.listen(1024)
            except OSError:
                listener.close()
                raise
            return listener
        except (PermissionError, socket.gaierror) as error:
            raise cannot_listen(settings, error) from None
        except OSError as error:
            if error.errno != 98:  # EADDRINUSE
                raise cannot_listen(settings, error) from None
    if settings.port_asked:
        raise InvalidInput(Sentence("cli.port_busy", {"port": settings.port}))
    raise InvalidInput(Sentence("cli.no_port", {"first": settings.port, "last": last}))


def cannot_listen(settings: Settings, error: OSError) -> InvalidInput:
    """The error for a host or port that the system refuses."""
    reason = error.strerror or str(error)
    return InvalidInput(Sentence("cli.cannot_listen", {"host": f"{settings.host}:{settings.port}", "reason": reason}))


def announce(
    settings: Settings,
    language: Language,
    port: int,
    tokens: dict[Role, str],
    lock: InstanceLock,
    login: SshLogin | None,
) -> None:
    """Says where the page is, once it answers; to a second start too."""
    address = page_address(settings, port, tokens[Role.OPERATOR])
    lock.write_address(address)
    if port != settings.port and not settings.port_asked:
        print(t("cli.port_moved", language, {"busy": settings.port, "port": port}))
    if not is_loopback(settings.host):
        print(t("cli.network_warning", language, {"host": settings.host}))
    print(t("cli.address", language, {"address": address}))
    print(t("cli.class_address", language, {"address": page_address(settings, port, tokens[Role.CLASS])}))
    print(t("cli.ssh", language, {"line": ssh_line(login, port)}))
    print(t("cli.stop_hint", language), flush=True)
    if settings.open_browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def say_running(running: RunningInstance, language: Language) -> int:
    """For a second start: the address of the console that runs."""
    if running.address:
        print(t("cli.already", language, {"address": running.address}), flush=True)
    else:
        print(t("cli.already_starting", language), flush=True)
    return 0


class ConsoleServer(uvicorn.Server):
    """uvicorn that says when it answers, and ends in time: a call stuck in a thread doesn't hold the end up."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM end the server; unlike uvicorn's, they aren't raised again afterwards."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)
        yield

    def _end(self, number: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # streams that are cut now are no errors
            timer = threading.Timer(END_SECONDS, self._end_now)
            timer.daemon = True
            timer.start()
        self.handle_exit(number, frame)

    def _end_now(self) -> None:
        logging.getLogger(__name__).warning("something still ran %s s after the signal", END_SECONDS)
        logging.shutdown()
        os._exit(0)


if __name__ == "__main__":
    raise SystemExit(main())
