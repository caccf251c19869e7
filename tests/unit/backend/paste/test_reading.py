"""A pasted block: which commands are found in it, what they set, and that every word is accounted for."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.paste.reading import Reading, read
from backend.quantization.base import QuantConfig
from tests.unit.backend.paste.blocks import BLOCKS, Command
from ui.i18n import LANGUAGES, say

ODD_DASHES = "-‐‑‒–—―−﹣－"
ODD_BLANKS = " \u00a0\u3000\u2003\u202f\u200b\t"
ENDS = (" \\\n", " \\  \n", " `\n", " ^\n", "\n  ", "\n", " \\\r\n", " \\\n\n", " ＼\n", " \\ ")
PROMPTS = (
    "", "$ ", "# ", "% ", "> ", ">>> !", "!", "(lmdeploy) root@intern-studio:~# ", "[me@box ~]$ ", "PS C:\\> ",
    "C:\\Users\\me>", "me@host:/a b/c$ ", "1. ", "- ", "运行：", "In [1]: !", "➜  ~ ", "bash-5.1$ ", "(a) (b) ",
)  # fmt: skip
AROUND = ("", "conda activate lmdeploy && ", "cd /root; ", "source activate x\n", "nohup ", "sudo -E ", "time ", "A=b ")
PIECES = (
    "lmdeploy serve api_server chat lite auto_awq convert gradio --tp 2 -tp --quant-policy 4 /m ' \" “ ” ` \\ \\\n \n",
    "&& | ; # > < 2>&1 & <model> $X ${X} X=1 CUDA_VISIBLE_DEVICES=0 docker run -v /a:/b -p 1:2 bash -c ssh root@h",
    "python -m vllm vllm.entrypoints.openai.api_server sglang.launch_server ollama run — – －－ ( ) [ ] { } = : ， 。",
    "\u200b \u3000 \x00 \x1b[1m ``` >>> pipeline(' TurbomindEngineConfig( - --- -- -= --= @ % %X% !",
)
WORDS = st.sampled_from([word for line in PIECES for word in line.split(" ")])


def uncovered(reading: Reading) -> str:
    """The letters and digits that no account holds."""
    held = [False] * len(reading.text)
    for account in reading.accounts:
        for place in range(account.start, min(account.end, len(held))):
            held[place] = True
    return "".join(c for place, c in enumerate(reading.text) if not held[place] and c.isalnum())


def commands(reading: Reading) -> list[Command]:
    """As the table has them."""
    default = {"engine": "turbomind", "method": "awq"}
    return [
        (found.kind, found.tab, {k: v for k, v in found.values.items() if default.get(k) != v})
        for found in reading.found
    ]


def check(reading: Reading) -> None:
    """Every word has its fate, and every message its text."""
    assert uncovered(reading) == ""
    for message in [*reading.notes, *(account.message for account in reading.accounts)]:
        for language in LANGUAGES:
            assert "{field}" not in say(message, language)


def test_there_are_many() -> None:
    assert len(BLOCKS) >= 80


@pytest.mark.parametrize(("block", "found", "left"), BLOCKS, ids=range(len(BLOCKS)))
def test_a_block(block: str, found: list[Command], left: list[str]) -> None:
    reading = read(block)
    assert commands(reading) == found
    assert sorted({a.message.key.removeprefix("paste.") for a in reading.accounts if a.fate == "left"}) == left
    check(reading)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.lists(WORDS, max_size=25).map(" ".join))
def test_a_heap_of_words_never_raises_and_every_word_is_accounted_for(text: str) -> None:
    check(read(text))


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.text(max_size=120))
def test_any_text_never_raises(text: str) -> None:
    check(read(text))


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.data())
def test_the_same_command_however_it_came(data: st.DataObject) -> None:
    """Dashes, blanks, line ends, prompts, what stands around, the flags' order, spelling and "=": the same settings."""

    def odd(word: str) -> str:
        if not word.startswith("--"):
            return word
        dashes = data.draw(st.sampled_from(["--", "--", "—", "–", "––", "－－", "-–", "−−", "‐‐", "——"]))
        name = word[2:].replace("-", data.draw(st.sampled_from(["-", "_"])))
        return dashes + name

    flags = {
        "--quant-policy": data.draw(st.sampled_from(["0", "4", "8"])),
        "--cache-max-entry-count": data.draw(st.sampled_from(["0.4", "0.1", ".5"])),
        "--tp": data.draw(st.sampled_from(["1", "2"])),
        "--session-len": "4096",
        "--model-format": "awq",
    }
    names = data.draw(st.permutations(list(flags)))
    said = [odd(name) + data.draw(st.sampled_from([" ", "=", " = "])) + flags[name] for name in names]
    words = ["lmdeploy serve api_server", "/root/models/m", *said]
    end = data.draw(st.sampled_from(ENDS))
    blank = data.draw(st.sampled_from(ODD_BLANKS.replace("\u200b", "")))
    block = (
        data.draw(st.sampled_from(PROMPTS)) + data.draw(st.sampled_from(AROUND)) + end.join(words).replace(" ", blank)
    )
    if blank != " ":  # a mark that joins lines stands before the line's end
        block = block.replace(f"{blank}\\\n", " \\\n").replace(f"{blank}`\n", " `\n").replace(f"{blank}^\n", " ^\n")
    if data.draw(st.booleans()):
        block = f"```bash\n{block}\n```"
    reading = read(block)
    served = [found for found in reading.found if found.kind == "serve"]
    assert len(served) == 1, block
    assert served[0].values == {
        "engine": "turbomind", "model": "/root/models/m", "quant_policy": flags["--quant-policy"],
        "cache_max_entry_count": flags["--cache-max-entry-count"], "tp": flags["--tp"], "session_len": "4096",
        "model_format": "awq",
    }, block  # fmt: skip
    check(reading)


def test_a_secret_is_not_shown_again() -> None:
    reading = read("HF_TOKEN=hf_abc lmdeploy serve api_server /m --api-keys sk-secret")
    shown = " ".join(account.words for account in reading.accounts)
    assert "hf_abc" not in shown
    assert "sk-secret" not in shown


def test_a_gone_calibration_set_is_explained_and_replaced() -> None:
    reading = read("lmdeploy lite auto_awq /m --calib-dataset 'ptb'")
    (told,) = (account.message for account in reading.accounts if "ptb" in account.words)
    assert (told.key, told.level) == ("paste.dataset_gone", "warning")
    assert "ptb" in say(told, "en")
    assert "wikitext2" in say(told, "zh")


def test_values_are_fields_of_the_settings() -> None:
    """What a tab can't hold would be dropped there."""
    from dataclasses import fields

    from backend.engines.base import ServeConfig

    known = {
        "deploy": {item.name for item in fields(ServeConfig)} | {"login"},
        "quantize": {item.name for item in fields(QuantConfig)},
        "chat": {"address"},
    }
    for block, _, _ in BLOCKS:
        for found in read(block).found:
            assert set(found.values) <= known.get(found.tab, set()), block


def test_a_long_paste_is_cut_and_says_so() -> None:
    reading = read("lmdeploy chat /m\n" + string.ascii_letters * 1000)
    assert "paste.cut" in [note.key for note in reading.notes]
    assert reading.found


def test_line_ends_of_every_system() -> None:
    for end in ("\r\n", "\r", "\n", "\u2028", "\x0b"):
        assert read(f"lmdeploy chat /m \\{end} --tp 2").found[0].values["tp"] == "2", repr(end)
