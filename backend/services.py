"""Everything with a life of its own, made once by app.py and handed to the page."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from backend.chat.service import Chat
from backend.engines.base import Gpu
from backend.engines.environments import EnvironmentFinder
from backend.errors import NotFound
from backend.memory.nvml import Nvml
from backend.memory.planner import Planner
from backend.memory.readings import Sample
from backend.memory.reconcile import Reconciler, Records
from backend.memory.sampler import Sampler
from backend.memory.source import JobProcess, LiveSource
from backend.models.catalog import Catalog, default_roots
from backend.processes.supervisor import Supervisor
from backend.quantization.base import GpuUser
from backend.quantization.jobs import JobManager
from backend.servers.manager import ServerManager
from backend.settings import Settings
from backend.store import Store


@dataclass(frozen=True)
class Services:
    """The console's parts. Each is safe to call from any thread, save ``chat``, which belongs to the page's loop."""

    settings: Settings
    store: Store
    supervisor: Supervisor
    nvml: Nvml
    finder: EnvironmentFinder
    catalog: Catalog
    servers: ServerManager
    sampler: Sampler
    records: Records
    planner: Planner
    jobs: JobManager
    chat: Chat
    started_at: float = field(default_factory=time.time)  # seconds since the epoch

    def close(self) -> None:
        """Ends the console's own threads; servers and jobs go on."""
        self.sampler.close()
        self.servers.close()
        self.finder.close()
        self.supervisor.close()
        self.nvml.close()
        self.store.close()


def build_services(settings: Settings) -> Services:
    """Wires the parts together and starts their threads. The state directory is this process's alone by now."""
    store = Store(settings.state_dir)
    supervisor = Supervisor(settings, store)
    nvml = Nvml()
    finder = find_environments(settings, nvml)
    catalog = Catalog(default_roots(settings))
    servers = ServerManager(settings, store, supervisor, catalog, finder.machine)

    def address(server_id: str) -> tuple[str, str]:
        endpoint = servers.endpoint(server_id)
        return endpoint.base_url, endpoint.api_key

    def gpu_users(gpu: str) -> Sequence[GpuUser]:
        return users_of(sampler, gpu)

    jobs = JobManager(settings, store, supervisor, catalog, finder.machine, gpu_users=gpu_users)
    source = LiveSource(nvml, servers.snapshot, lambda: job_processes(jobs, supervisor), address)
    sampler = Sampler(source)
    records = Records(store)
    planner = Planner(catalog.find, nvml.gpus, records.learned)
    sampler.add_listener(Reconciler(records, planner, servers.snapshot, sampler.facts).listen)
    sampler.add_listener(lambda _, sample: jobs.note_gpu_memory(held_by_owner(sample)))
    sampler.start()
    return Services(
        settings=settings,
        store=store,
        supervisor=supervisor,
        nvml=nvml,
        finder=finder,
        catalog=catalog,
        servers=servers,
        sampler=sampler,
        records=records,
        planner=planner,
        jobs=jobs,
        chat=Chat(servers, store, settings.state_dir / "pictures", on_picture=sampler.mark_picture),
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
        found.append(JobProcess(job.id, job.model_name, job.state.value, pid, stage, gpus))
    return tuple(found)
