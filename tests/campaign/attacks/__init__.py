"""Attacks over HTTP on the real console: strangers, guests of a class, other ports, and what a model writes.

After each: nobody was let in, nothing was started, stopped or read, no secret stands in an answer, and the console
still answers everyone within seconds.
"""

import random
from collections.abc import Callable, Mapping

from tests.campaign.attacks.answers import answers
from tests.campaign.attacks.api import api, pictures
from tests.campaign.attacks.guests import conversations, guest
from tests.campaign.attacks.paths import cookies, paths
from tests.campaign.attacks.privacy import privacy
from tests.campaign.attacks.servers import servers, slow_servers
from tests.campaign.attacks.strangers import hosts, origins, raw, strangers
from tests.campaign.attacks.uploads import big, uploads
from tests.campaign.ground import Ground

SCENARIOS: Mapping[str, Callable[[Ground, random.Random], str]] = {
    "strangers": strangers, "hosts": hosts, "origins": origins, "paths": paths, "cookies": cookies, "raw": raw,
    "guest": guest, "uploads": uploads, "conversations": conversations, "api": api, "pictures": pictures,
    "answers": answers, "servers": servers, "slow-servers": slow_servers, "privacy": privacy, "big": big,
}  # fmt: skip
QUICK = ("answers", "privacy")
