"""Everything with a life of its own, made once by app.py and handed to the page."""

import time
from dataclasses import dataclass, field

from backend.chat.service import Chat
from backend.engines.base import Gpu
from backend.engines.environments import EnvironmentFinder
from backend.memory.nvml import Nvml
from backend.memory.planner import Planner
from backend.memory.reconcile import Reconciler, Records
from backend.memory.sampler import Sampler
from backend.memory.source import LiveSource
from backend.models.catalog import Catalog, default_roots
from backend.processes.supervisor import Supervisor
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

    def gpus_of() -> tuple[tuple[Gpu, ...], str, str]:
        return nvml.gpus(), nvml.driver_version(), nvml.cuda_version()

    finder = EnvironmentFinder(settings, gpus_of)
    catalog = Catalog(default_roots(settings))
    servers = ServerManager(settings, store, supervisor, catalog, finder.machine)

    def address(server_id: str) -> tuple[str, str]:
        endpoint = servers.endpoint(server_id)
        return endpoint.base_url, endpoint.api_key

    sampler = Sampler(LiveSource(nvml, servers.snapshot, address=address))
    records = Records(store)
    planner = Planner(catalog.find, nvml.gpus, records.learned)
    sampler.add_listener(Reconciler(records, planner, servers.snapshot, sampler.facts).listen)
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
        chat=Chat(servers, store, settings.state_dir / "pictures"),
    )
