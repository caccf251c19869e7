"""Everything with a life of its own, made once by app.py and handed to the page."""

import os
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from backend.chat.gpu_reading import gpu_text
from backend.chat.service import Chat
from backend.chat.setup import setup_of
from backend.chat.startable import settings_of
from backend.classroom.limits import Allowances
from backend.classroom.names import Names
from backend.classroom.people import OPERATOR, People
from backend.classroom.visitors import Visitors
from backend.console import storage
from backend.downloads.manager import DownloadManager
from backend.errors import ConsoleError, Message, NotFound
from backend.gateway.keys import KeyRing
from backend.gateway.service import Gateway
from backend.lab.lab import Lab, build_lab
from backend.lab.metrics_page import metrics_page
from backend.machine.environments import EnvironmentFinder
from backend.machine.fit import model_capabilities
from backend.machine.installation import Installer
from backend.machine.machine import Gpu
from backend.machine.nvml import Nvml
from backend.memory.live_source import JobProcess, LiveSource
from backend.memory.readings import Sample
from backend.memory.sampler import Sampler
from backend.memory_plan.planner import Planner
from backend.memory_plan.reconcile import Measurements, Reconciler
from backend.models.catalog import Catalog, default_roots
from backend.models.checkpoint import ModelInfo
from backend.processes.supervisor import Supervisor
from backend.quantization.base import GpuUser
from backend.quantization.manager import JobManager
from backend.servers import leftovers
from backend.servers.keeper import Keeper
from backend.servers.manager import ServerManager
from backend.servers.server import ServerView
from backend.settings import Settings
from backend.store import Store


@dataclass(frozen=True)
class Services:
    """The console's parts. Each is safe to call from any thread, save ``chat`` and ``gateway``, which belong to the
    page's loop."""

    settings: Settings
    store: Store
    supervisor: Supervisor
    nvml: Nvml
    finder: EnvironmentFinder
    installer: Installer
    catalog: Catalog
    servers: ServerManager
    sampler: Sampler
    measurements: Measurements
    planner: Planner
    jobs: JobManager
    downloads: DownloadManager
    chat: Chat
    gateway: Gateway
    keeper: Keeper
    lab: Lab
    names: Names
    allowances: Allowances
    started_at: float = field(default_factory=time.time)  # seconds since the epoch
    visitors: Visitors = field(default_factory=Visitors)

    def answering(self, server_id: str = "", without: str = "") -> int:
        """How many answers are under way, of that server or of all: in chats, and for programs at the console's
        address. ``without``: a visitor (and the operator's own programs) whose answers don't count."""
        return self.chat.answering(server_id, without) + self.gateway.answering(server_id, bool(without))

    def notices(self, operator: bool = True) -> tuple[Message, ...]:
        """What the operator, or everyone else, must know wherever they are."""
        if operator:
            return tuple(message for message in (self.store.problem, self.store.unsaved) if message is not None)
        return (Message("servers.store.lost", level="warning"),) if self.store.problem is not None else ()

    def metrics(self) -> bytes:
        """The console's own figures for Prometheus."""
        return metrics_page(self.servers.snapshot(), self.jobs.snapshot(), self.sampler.latest(), self.answering())

    def kept(self) -> Mapping[str, tuple[storage.Entry, ...]]:
        """What the state folder keeps, by kind: for storage.table and storage.clear. Raises Unavailable."""
        jobs = [view.job for view in self.jobs.snapshot()]
        downloads = [view.download.id for view in self.downloads.snapshot()]
        benchmarks = [benchmark.id for benchmark in self.lab.benchmarks.all()]
        in_use = storage.in_use_of(self.supervisor.all(), jobs, self.chat.archive.pictures(), downloads, benchmarks)
        return storage.look(self.settings.state_dir, in_use, time.time())

    def runs(self) -> Mapping[int, Path]:
        """The console's servers and jobs that haven't ended: their runs' folders by their commands' pids."""
        return {run.pid: run.folder for run in self.supervisor.all() if run.pid > 0 and not run.ended}

    def end_leftover(self, pid: int, start: int) -> None:
        """End a process of an earlier server that holds a GPU's memory. Blocks; raises as leftovers.end."""
        leftovers.end(pid, start, leftovers.find(self.nvml.readings(), self.runs()))

    def close(self) -> None:
        """Ends the console's own threads; servers and jobs go on."""
        self.sampler.close()
        self.keeper.close()
        self.lab.close()
        self.servers.close()
        self.jobs.close()
        self.downloads.close()
        self.finder.close()
        self.supervisor.close()
        self.nvml.close()
        self.store.close()


def build_services(settings: Settings, tokens: Mapping[str, str] | None = None) -> Services:
    """Wires the parts together and starts their threads. The state directory is this process's alone by now.

    ``tokens`` are the console's by role ("operator", "class"); random ones where nobody is let in.
    """
    tokens = tokens or {role: secrets.token_hex(24) for role in ("operator", "class")}
    store = Store(settings.state_dir)
    supervisor = Supervisor(settings, store)
    nvml = Nvml()
    finder = find_environments(settings, nvml)
    installer = Installer(supervisor, finder.refresh)
    catalog = Catalog(default_roots(settings), lambda: model_capabilities(finder.machine(0.0)))
    servers = ServerManager(settings, store, supervisor, catalog, finder.machine)

    def address(server_id: str) -> tuple[str, str]:
        endpoint = servers.endpoint(server_id)
        return endpoint.base_url, endpoint.api_key

    def gpu_users(gpu: str) -> Sequence[GpuUser]:
        return users_of(sampler, gpu)

    jobs = JobManager(settings, store, supervisor, catalog, finder.machine, gpu_users=gpu_users)
    downloads = DownloadManager(settings, store, supervisor, catalog, environ=lambda: os.environ)
    source = LiveSource(nvml, servers.snapshot, lambda: job_processes(jobs, supervisor), address)
    sampler = Sampler(source)
    measurements = Measurements(store)
    planner = Planner(catalog.find, nvml.gpus, measurements.learned)
    reconciler = Reconciler(measurements, planner, servers.snapshot, sampler.facts)
    sampler.add_listener(reconciler.listen)
    sampler.add_listener(lambda _, sample: jobs.note_gpu_memory(held_by_owner(sample)))
    people = People(store)
    names = Names(store, people.name)
    allowances = Allowances(store, people.is_operator)

    def api_used_at(visitor: str) -> float:
        who = people.name(visitor)
        return gateway.meter.of(who if who == OPERATOR else f"class-{visitor}").last_at

    lab = build_lab(
        settings,
        store,
        supervisor,
        servers,
        jobs,
        sampler,
        planner,
        catalog,
        lambda: finder.machine(0.0),
        reconciler.memory,
        people,
        api_used_at,
        names,
    )
    sampler.start()
    visitors = Visitors()
    chat = Chat(
        servers,
        store,
        settings.state_dir / "pictures",
        people=people,
        allowances=allowances,
        on_picture=sampler.mark_picture,
        on_answer=lab.answered,
        is_here=visitors.is_here,
        waiting=lambda server_id: waiting_in(sampler, server_id),
    )
    chat.setup_of = lambda view: setup_of(view.config, model_of(catalog, view), held(sampler.latest(), view.id))
    chat.asking.settings_of = lambda run: settings_of(lab.runs, servers.get, run)
    chat.tool_sources["gpu_memory"] = lambda given: gpu_text(sampler.latest())
    gateway = Gateway(servers, store, KeyRing(store, tokens), chat.pictures, allowances)
    keeper = Keeper(servers, lambda server_id: chat.answering(server_id) + gateway.answering(server_id))
    keeper.start()
    Thread(target=chat.in_turn.stop_left, name="turns-left", daemon=True).start()
    return Services(
        settings=settings,
        store=store,
        supervisor=supervisor,
        nvml=nvml,
        finder=finder,
        installer=installer,
        catalog=catalog,
        servers=servers,
        sampler=sampler,
        measurements=measurements,
        planner=planner,
        jobs=jobs,
        downloads=downloads,
        chat=chat,
        gateway=gateway,
        keeper=keeper,
        lab=lab,
        names=names,
        allowances=allowances,
        visitors=visitors,
    )


def find_environments(settings: Settings, nvml: Nvml) -> EnvironmentFinder:
    """The finder, with NVML's word on the GPUs and their driver."""

    def gpus_of() -> tuple[tuple[Gpu, ...], str, str]:
        return nvml.gpus(), nvml.driver_version(), nvml.cuda_version()

    return EnvironmentFinder(settings, gpus_of)


def users_of(sampler: Sampler, gpu: str) -> tuple[GpuUser, ...]:
    """The servers that hold memory of that GPU now."""
    sample = sampler.latest()
    found = []
    for reading in sample.gpus if sample else ():
        if reading.reading.id == gpu:
            for owner_id, used_bytes in reading.shares.items():
                owner = sampler.owner(owner_id)
                if owner is not None and owner.kind == "server":
                    found.append(GpuUser(owner.name, used_bytes))
    return tuple(found)


def model_of(catalog: Catalog, view: ServerView) -> ModelInfo | None:
    """The checkpoint that a server serves; None where it isn't on this machine, or can't be read any more."""
    with suppress(ConsoleError):
        return catalog.find(view.model_path)
    return None


def held(sample: Sample | None, owner: str) -> int:
    """Bytes of GPU memory that the server or job holds; 0 where none was seen."""
    return held_by_owner(sample).get(owner, 0) if sample is not None else 0


def waiting_in(sampler: Sampler, server_id: str) -> int:
    """How many requests wait inside a server, by its own figures of a moment ago; 0 where it tells none."""
    sample = sampler.latest()
    use = sample.caches.get(server_id) if sample else None
    return use.waiting if use else 0


def held_by_owner(sample: Sample) -> dict[str, int]:
    """Bytes of GPU memory by owner (server or job), over all GPUs."""
    held: dict[str, int] = {}
    for gpu in sample.gpus:
        for owner, used_bytes in gpu.shares.items():
            held[owner] = held.get(owner, 0) + used_bytes
    return held


def job_processes(jobs: JobManager, supervisor: Supervisor) -> tuple[JobProcess, ...]:
    """The quantization jobs as the memory sampler needs them."""
    found = []
    for job in (view.job for view in jobs.snapshot()):
        try:
            pid = supervisor.get(job.run_id).pid if job.run_id else 0
        except NotFound:
            pid = 0
        gpus = (job.config.gpu,) if job.config.gpu else ()
        stage = f"quantize.stage.{job.progress.stage}"
        found.append(JobProcess(job.id, job.title, job.state.value, pid, stage, gpus))
    return tuple(found)
