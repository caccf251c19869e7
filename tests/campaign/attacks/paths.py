"""Files and cookies: ways to what lies beside the page."""

import random
from urllib.parse import quote

import httpx

from tests.campaign.attacks.checks import ANSWER_S, CANARY, leaks_nothing
from tests.campaign.ground import Ground, check
from tests.campaign.network import port_of
from tests.support.proxies import raw_request


def paths(ground: Ground, rng: random.Random) -> str:
    """Files of this machine by every way to spell them, for a guest: none is given."""
    console = ground.running
    secret = ground.folder / "secret.txt"
    secret.write_text(CANARY)
    targets = ["/etc/passwd", str(secret), str(ground.state_dir / "token"), str(ground.state_dir / "path-secret")]
    shapes = [
        "/gradio_api/file={}", "/gradio_api/file/{}", "/file={}", "/gradio_api/stream/{}", "/gradio_api/proxy=file://{}",
        "/console/assets/js/../../../../../../..{}", "/console/assets/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e{}",
        "/static/..%2f..%2f..%2f..%2f..%2f..{}", "/assets/..%5c..%5c..{}", "/console/log/..%2f..%2f{}",
        "/console/log/{}/file", "/console/chat/picture/..%2f..%2f..{}", "/console/chat/sample/..%2f..%2f..{}",
        "/gradio_api/file=x/../../../../../..{}", "//gradio_api/file={}", "/gradio_api/file=file://{}",
        "/gradio_api/FILE={}", "/gradio_api/file%3D{}", "/gradio_api/file=\\\\localhost{}", "/theme.css/..%2f..{}",
        "/gradio_api/custom_component/x/client/component/..%2f..%2f..{}", "/favicon.ico/../..{}",
    ]  # fmt: skip
    for _ in range(16):
        shape, target = rng.choice(shapes), rng.choice(targets)
        spelled = rng.choice(
            [target, quote(target, safe=""), quote(quote(target)), target.replace("/", "/./"), target + "%00"]
        )
        path = shape.format(spelled)
        request = (
            f"{rng.choice(['GET', 'GET', 'HEAD', 'POST'])} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port_of(ground)}\r\n"
            f"Authorization: Bearer {console.class_token}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        said = raw_request(port_of(ground), request.encode("latin-1", "replace"), ANSWER_S).decode("latin-1")
        check(" 500 " not in said[:20], f"{path} is a 500")
        check(not said.startswith("HTTP/1.1 200") or CANARY not in said, f"{path} is given")
        leaks_nothing(ground, said, path)
    return "16 paths"


def cookies(ground: Ground, rng: random.Random) -> str:
    """The secret path without its cookie, a guest's cookies under the operator's name, cookies at the root: nobody."""
    console = ground.running
    with httpx.Client(trust_env=False, timeout=ANSWER_S, follow_redirects=True) as operator:
        landed = operator.get(console.address).url
        check(landed.path != "/", "the page lies at the root, where every port's cookies go")
        check(operator.get(landed.join("./console/snapshot")).json()["role"] == "operator", "the operator isn't in")
        jar = {cookie.name: (cookie.value or "", cookie.path) for cookie in operator.cookies.jar}
    check(all(path not in ("", "/") for _, path in jar.values()), f"a cookie for every port: {jar}")
    with httpx.Client(trust_env=False, timeout=ANSWER_S, follow_redirects=True) as guest:
        base = guest.get(console.class_address).url
        theirs = {cookie.name: cookie.value or "" for cookie in guest.cookies.jar}
    attempts: list[tuple[httpx.URL, dict[str, str]]] = [
        (landed, {}),
        (landed, theirs),
        (landed, {name: theirs.get(name, "x") for name in jar}),
        (landed, {name: value[:-1] for name, (value, _) in jar.items()}),
        (httpx.URL(console.base_url + "/"), {name: value for name, (value, _) in jar.items()}),
        (base, {name: value for name, (value, _) in jar.items()}),
    ]
    rng.shuffle(attempts)
    for url, sent in attempts:
        header = "; ".join(f"{name}={value}" for name, value in sent.items())
        for path in ("./console/snapshot", "./config", "./"):
            answer = httpx.get(url.join(path), headers={"cookie": header}, trust_env=False, timeout=ANSWER_S)
            role = answer.json().get("role") if path == "./console/snapshot" and answer.status_code == 200 else ""
            check(answer.status_code == 401 or role == "class", f"{path} with {sorted(sent)} is {answer.status_code}")
    signed_in = httpx.get(console.base_url, trust_env=False, timeout=ANSWER_S)
    check(
        landed.path.strip("/") not in signed_in.text + str(signed_in.headers), "the sign-in page tells the secret path"
    )
    return f"{len(attempts)} jars"
