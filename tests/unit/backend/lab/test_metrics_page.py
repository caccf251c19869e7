"""The console's own /metrics: figures for Prometheus, behind a key, with nothing of a person in them."""

from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from backend.gateway.keys import KeyRing, Limits
from backend.gateway.service import Gateway
from backend.lab.metrics_page import metrics_page
from backend.services import build_services
from tests.conftest import make_settings
from tests.unit.backend.lab.test_runs import GIB, a_sample, a_view
from ui.web.gateway import GatewayRoutes


def figures(page: bytes) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(page.decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_servers_gpus_and_caches_are_told() -> None:
    _, sample = a_sample(1.0, 5 * GIB, 123.0)
    view = a_view(name='a "name"\nin two lines')
    found = figures(metrics_page([view], [], sample, 2))
    assert found["lmdeploy_console_servers", "running"] == 1
    assert found["lmdeploy_console_servers", "failed"] == 0
    assert found["lmdeploy_console_answers_under_way",] == 2
    assert found["lmdeploy_console_gpu_memory_used_bytes", "0", "Card"] == 5 * GIB
    assert found["lmdeploy_console_server_gpu_memory_bytes", view.name] == 5 * GIB
    assert found["lmdeploy_console_server_tokens_per_second", view.name] == 123.0
    assert not [name for name in found if name[0].endswith("power_watts")]  # not known: not told
    page = metrics_page([view], [], None, 0)
    assert b"/models" not in page


async def test_a_key_opens_it_and_a_class_key_does_not(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "state")
    tokens = {"operator": "o" * 32, "class": "c" * 32}
    services = build_services(settings, tokens)

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("the page was asked")

    try:
        ring = KeyRing(services.store, tokens)
        named, _ = ring.make("prometheus", Limits())
        gateway = Gateway(services.servers, services.store, ring, services.chat.pictures, services.allowances)
        app = GatewayRoutes(behind, gateway, settings, services.metrics)
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            for key, status in (
                ("", 401), ("wrong", 401), (ring.page_key("class", "f" * 32), 403), (tokens["operator"], 200),
                (named, 200),
            ):  # fmt: skip
                answer = await client.get("/metrics", headers={"authorization": f"Bearer {key}"} if key else {})
                assert answer.status_code == status, answer.text
            assert figures(answer.content)["lmdeploy_console_servers", "running"] == 0
            assert (await client.post("/metrics", headers={"x-api-key": named})).status_code == 405
        await gateway.close()
    finally:
        await services.chat.close()
        services.close()
