"""How long the list "Before the start" takes: ``python tests/benchmarks/preflight.py``.

All of it, as a change of the form asks for it: the model is looked up, the engine and the port are asked, the memory is
planned for a card of 24 GiB, disk, folder and proxies are looked at, the list is drawn. The limit is 100 ms; the exit
code is 1 where the median misses it. The machine should have nothing else to do.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from backend.console.environment import child_environment
from backend.engines.base import ServeConfig
from backend.engines.remedies import Case
from backend.models.catalog import DEMO_MODEL
from backend.servers.preflight import preflight
from backend.servers.surroundings import look
from backend.services import Services, build_services
from tests.conftest import make_settings
from ui.tabs.deploy.preflight_html import preflight_html
from ui.tabs.deploy.remedy_buttons import buttons_for

LIMIT_MS = 100
TIMES = 40


def once(services: Services, config: ServeConfig) -> float:
    """Milliseconds of one list."""
    began = time.perf_counter()
    preview = services.servers.preview(config)
    plan = services.planner.plan(config, "24").plan
    folder = services.settings.state_dir
    around = look(config, preview.model, plan, services.sampler.latest(), folder, child_environment())
    rows = preflight(config, preview.model, preview.messages, around)
    buttons = buttons_for(Case(config, preview.model, services.finder.machine()), "en")
    assert 'data-subject="memory"' in preflight_html(rows, "en", buttons)
    return (time.perf_counter() - began) * 1000


def main() -> int:
    """Change the settings again and again; print the median and the slowest."""
    with tempfile.TemporaryDirectory() as folder:
        services = build_services(make_settings(Path(folder)))
        try:
            services.finder.machine(60.0)
            configs = [
                ServeConfig(engine, str(DEMO_MODEL), cache_max_entry_count=0.2 + step / 50)
                for step in range(TIMES // 2)
                for engine in ("turbomind", "pytorch")
            ]
            once(services, configs[0])
            times = [once(services, config) for config in configs]
        finally:
            services.close()
    median = statistics.median(times)
    print(f"the list before the start (ms): median {median:.1f}, slowest {max(times):.1f} (limit {LIMIT_MS})")
    return int(median > LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
