"""The page for who comes without a token: how to get in, in both languages, with nothing but itself."""

from html import escape

from ui.i18n import LANGUAGES, Language, t

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.6 system-ui, "Noto Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif; }
body { max-width: 40rem; margin: 8vh auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1rem; margin: 2rem 0 0.3rem; } p { margin: 0.4rem 0; }
code { background: #8882; padding: 0.1em 0.35em; border-radius: 4px; }
form { display: flex; gap: 0.5rem; margin: 1.2rem 0; }
input { flex: 1; font: inherit; padding: 0.5rem; border: 1px solid #8888; border-radius: 6px; }
button { font: inherit; padding: 0.5rem 1.2rem; border: 0; border-radius: 6px; background: #2563eb; color: #fff; }
.wrong { border-left: 4px solid #dc2626; padding-left: 0.8rem; }
"""
# Once per tab: a reload from here is a request of the page's own, and carries the cookie.
RETRY = """<script>
if (!sessionStorage.getItem("console-retry")) {
  sessionStorage.setItem("console-retry", "1");
  location.replace(location.href);
}
</script>"""


def sign_in_page(language: Language, refusal: str, retry: bool, root: str) -> str:
    """The whole HTML page; ``refusal`` is "none" (no token), "wrong" or "limited" (too many wrong ones), ``root`` the
    console's root as seen from where the page was asked for: that leads to the page, also from an address that has
    no meaning any more."""
    wrong = refusal != "none"
    title = escape(t("common.title", language))
    order = sorted(LANGUAGES, key=lambda name: name != language)
    sections = "".join(
        f"<section lang='{name}'><h2>{escape(t('common.guard.title', name))}</h2>"
        + (f"<p class='wrong' role='alert'>{escape(t(f'common.guard.{refusal}', name))}</p>" if wrong else "")
        + f"<p>{escape(t('common.guard.how', name))}</p><p><code>http://127.0.0.1:PORT/?token=…</code></p>"
        + f"<p>{escape(t('common.guard.again', name))}</p><p>{escape(t('common.guard.keep', name))}</p></section>"
        for name in order
    )
    label = escape(t("common.guard.paste", language))
    button = escape(t("common.guard.enter", language))
    return (
        f"<!doctype html><html lang='{language}'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{title}</title><style>{STYLE}</style>{RETRY if retry else ''}</head><body>"
        f"<h1>{title}</h1>"
        f"<form action='{escape(root)}' method='get'>"
        f"<input name='token' type='password' autocomplete='off' required autofocus "
        f"aria-label='{label}' placeholder='{label}'><button>{button}</button></form>{sections}</body></html>"
    )
