"""With a class's token: the operator's handlers, and other visitors' conversations."""

import json
import random
from typing import Any

from tests.campaign.attacks.checks import CANARY, called, leaks_nothing, unchanged
from tests.campaign.ground import Ground, check
from tests.campaign.network import ask, follow, own_server, scripted
from tests.support.gradio_calls import Visitor


def guest(ground: Ground, rng: random.Random) -> str:
    """Every handler called with the class's token: nothing of the operator's is started, stopped, changed or told."""
    server_id = scripted(ground)[1]
    own_server(ground)
    (ground.folder / "secret.txt").write_text(CANARY)
    same = unchanged(ground)
    with Visitor(ground.running, ground.running.class_token) as visitor:
        entries = [e for e in visitor.config["dependencies"] if e["api_name"] and e["targets"] is not None]
        for entry in rng.sample(entries, min(8, len(entries))):
            data = [nasty(rng, ground, server_id) for _ in entry["inputs"]]
            said = json.dumps(called(visitor, str(entry["api_name"]), data))
            leaks_nothing(ground, said, f"{entry['api_name']} for the class")
            check(str(ground.state_dir) not in said, f"{entry['api_name']} tells the class a path")
        runs = list(ground.runs())
        for path in (f"/console/log/{rng.choice(runs)}", f"/console/log/{rng.choice(runs)}/file"):
            check(visitor.client.get(path).status_code == 403, f"the class reads {path}")
        told = visitor.client.get("/console/snapshot").text
        leaks_nothing(ground, told, "the class's snapshot")
        check(str(ground.folder) not in told, "the class's snapshot names a path")
        check(scripted(ground)[0].address not in told, "the class's snapshot names a server's address")
    same()
    return "8 handlers"


def nasty(rng: random.Random, ground: Ground, server_id: str) -> Any:
    """A value for any control. None is the state folder as the console spells it: what a visitor says may come back."""
    return rng.choice([
        None, "", True, -1, 1e308, [], {}, [[]], {"a": {"b": []}}, "\ud800", "\0", "../../etc/passwd", "a" * 20_000,
        server_id, f"{ground.folder}/./state", str(ground.models / "healthy"), "external", "transformers",
        "; touch /tmp/x", "$(id)", "--api-keys x", "http://127.0.0.1:1/", "file:///etc/passwd", ["x"] * 50, {"text": "Hi", "files": []},
        {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, "ssh -o ProxyCommand=id x", "１２３", "\u202e",
    ])  # fmt: skip


def conversations(ground: Ground, rng: random.Random) -> str:
    """Another visitor's conversation, by forged visitors' cookies: never shown, not changed."""
    child, server_id = scripted(ground)
    child.script(text=f"{CANARY} is for its owner", rate=0.0, fault="", first_s=0.0)
    with Visitor(ground.running) as owner:
        ask(owner, server_id)
        follow(owner.client)
        check(CANARY in owner.answer()["text"], "the owner doesn't find their own answer")
        jar = dict(owner.client.cookies)
        for _ in range(6):
            forged = {}
            for name, value in jar.items():
                parts = value.split(".")
                changed = rng.choice(
                    [parts[0], value[:-1] + "0", value.upper(), f"{parts[0]}.{'0' * 32}", value + ",x", "%00"]
                )
                forged[name] = changed if changed != value else "x"
            header = "; ".join(f"{name}={value}" for name, value in forged.items())
            for token in (ground.running.class_token, ground.running.token):
                with ground.running.client(token) as client:
                    answer = client.get("/console/chat/answer/0/0", headers={"cookie": header})
                    check(CANARY not in answer.text, f"{header} reads another's conversation")
        with ground.running.client(ground.running.class_token) as client:  # the operator's own cookie, as a guest
            answer = client.get(
                "/console/chat/answer/0/0", headers={"cookie": "; ".join(f"{n}={v}" for n, v in jar.items())}
            )
            check(CANARY not in answer.text, "a guest with an operator's visitor cookie reads their conversation")
    return "6 jars"
