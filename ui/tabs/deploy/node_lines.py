"""How a node of another machine is reached where only ssh leads there: a line for each side. Pure."""

from html import escape

from ui.i18n import Language, t
from ui.ssh import SshLogin

THEIRS = 23333  # LMDeploy's own default port
OTHER = "USER@OTHER-MACHINE"
THIS = "USER@THIS-MACHINE"


def lines(login: SshLogin | None, port: int) -> tuple[str, str]:
    """For this machine, and for the other: either brings the other's port to ``port`` here."""
    back = login.words() if login is not None else THIS
    return f"ssh -CN -L {port}:127.0.0.1:{THEIRS} {OTHER}", f"ssh -CN -R {port}:127.0.0.1:{THEIRS} {back}"


def node_lines_html(login: SshLogin | None, port: int, language: Language) -> str:
    """Both lines, and what to type then."""
    here, there = lines(login, port)
    then = t("deploy.nodes.then", language, {"theirs": THEIRS, "address": f"http://127.0.0.1:{port}"})
    return "".join(
        f'<p class="deploy-note">{escape(t(key, language))}</p><pre class="code" tabindex="0">{escape(line)}</pre>'
        for key, line in (("deploy.nodes.here", here), ("deploy.nodes.there", there))
    ) + (f'<p class="deploy-note">{escape(then)}</p>')
