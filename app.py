"""LMDeploy Console: arguments → Settings → Services → the ASGI application → uvicorn."""

import os
import sys
from importlib.machinery import PathFinder

if __name__ == "__main__":  # nothing that PYTHONPATH names comes before what is the console's own
    _here, _library = os.path.dirname(os.path.abspath(__file__)), os.path.dirname(os.__file__)
    _others = {os.path.abspath(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep)}
    _own = (_library, os.path.join(sys.prefix, "lib"))
    _path = [_here, *(entry for entry in sys.path if entry not in _others or entry.startswith(_own))]
    if PathFinder.find_spec("uvicorn", _path) is not None:  # else its packages came by PYTHONPATH
        sys.path[:] = _path

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

import uvicorn

from backend.console.browser import BrowserOpener, browsers_folders
from backend.console.environment import find_home, keep_files_private, prepare_environment
from backend.console.instance_lock import InstanceLock, RunningInstance
from backend.console.terminal import log_to, outlive_terminal
from backend.console.tokens import keep_token
from backend.errors import ConsoleError, InvalidInput, Unavailable
from backend.errors import Message as Sentence
from backend.machine.network import is_loopback
from backend.machine.nvml import Nvml
from backend.private_folders import make_private
from backend.services import build_services, find_environments
from backend.settings import Settings
from ui.cli import CommandLine, check_text, class_address, page_address, parse_command_line, ssh_line
from ui.gradio_compat.imports import import_gradio
from ui.i18n import Language, say, t
from ui.ssh import SshLogin, load_login
from ui.web.connections import HEAD_SECONDS, protocol_for, raise_file_limit
from ui.web.visitor import Role

PORTS_TRIED = 50
CHECK_SECONDS = 60.0
END_SECONDS = 1.2  # from the signal to the end, whatever still runs
BACKLOG = 2048
FEW_BACKLOG = 128  # accepted at one go: with few descriptors, no more than can be open
FEW_CONNECTIONS = 4096
GRACE_SECONDS = 0.4  # of it, for requests that are under way; event streams never end by themselves


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the console until a signal ends it. Returns the exit code: 0, or 1 where it couldn't start."""
    outlive_terminal()
    find_home(os.environ)
    keep_files_private()
    command_line = parse_command_line(sys.argv[1:] if arguments is None else arguments)
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
    for message in prepare_environment(settings.uploads_dir):
        print(say(message, language), flush=True)
    make_state_folders(settings)
    if command_line.check:
        return check(settings, language)
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
    most = raise_file_limit()
    opener = BrowserOpener(browsers_folders(settings.state_dir)) if settings.open_browser else None
    listener = listen(settings)
    port = listener.getsockname()[1]
    # Only now: Gradio reads its environment when it is imported, and takes seconds.
    import_gradio()
    from ui.application import create_app

    services = build_services(settings, {role.value: token for role, token in tokens.items()})
    try:
        server = ConsoleServer(
            uvicorn.Config(
                create_app(services, tokens),
                http=protocol_for(most),
                backlog=BACKLOG if most > FEW_CONNECTIONS else FEW_BACKLOG,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                forwarded_allow_ips="",
                # As long as a head may take. uvicorn's 5 s are OpenAI's Python client's, too: then both end it at once.
                timeout_keep_alive=int(HEAD_SECONDS),
                workers=1,
                timeout_graceful_shutdown=GRACE_SECONDS,  # type: ignore[arg-type]  # a float serves as well
            ),
            lambda: announce(settings, language, port, tokens, lock, load_login(services.store), opener),
        )
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(server.serve(sockets=[listener]))
    finally:
        if opener is not None:
            opener.close()
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
            make_private(folder)
            folder.chmod(0o700)
        probe = settings.state_dir / f".write-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise Unavailable(Sentence("cli.state_unusable", {"path": str(settings.state_dir), "reason": reason})) from None


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
            # Named as TCP, so that asyncio turns Nagle's delay off: a first token would come 40 ms late.
            listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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
    opener: BrowserOpener | None,
) -> None:
    """Says where the page is, once it answers; to a second start too."""
    address = page_address(settings, port, tokens[Role.OPERATOR])
    lock.write_address(address)
    if port != settings.port and not settings.port_asked:
        print(t("cli.port_moved", language, {"busy": settings.port, "port": port}))
    if not is_loopback(settings.host):
        print(t("cli.network_warning", language, {"host": settings.host}))
    print(t("cli.address", language, {"address": address}))
    print(t("cli.class_address", language, {"address": class_address(settings, port, tokens[Role.CLASS])}))
    print(t("cli.ssh", language, {"line": ssh_line(login, port)}))
    print(t("cli.stop_hint", language), flush=True)
    if opener is not None:
        opener.open(address)


def say_running(running: RunningInstance, language: Language) -> int:
    """For a second start: the address of the console that runs. Raises Unavailable where another machine runs it."""
    if running.machine:
        if not running.address:
            raise Unavailable(Sentence("cli.starting_elsewhere", {"machine": running.machine}))
        where = {"machine": running.machine, "address": running.address}
        raise Unavailable(Sentence("cli.already_elsewhere", where))
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
