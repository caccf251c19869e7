"""Chinese as a Chinese engineer writes it: one word for one thing, full-width marks, units in Chinese."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ui.i18n import texts

ROOT = Path(__file__).parents[3]
HAN = "[一-鿿]"
# What may not stand in a text, and what stands there instead.
GLOSSARY = {
    r"(?:KV|键值) ?缓存": "KV cache",
    r"缓存(?:比例|占比)|cache ?占比": "KV cache 比例",
    r"词元|(?<![{_\w])[Tt]okens(?![}\w])": "token",
    r"比特": "位",
    r"显卡|显存切片|[张块]卡": "GPU（虚拟化 GPU）",
    r"账户|帐号|帐户": "账号",
    r"目录|资料夹": "文件夹",
    r"重新扫描|重新载入|重新整理": "刷新",
    r"你": "您",
    r"无法保存对话": "无法进行对话",
    r"未加密钥|没加密钥": "未设密钥",
    r"很紧": "勉强够用",
    r"最近发生的事": "事件记录",
    r"还没有。": "暂无记录。",
    r"压缩到 ?\d": "量化到",
    r"同时 \{\w+\} 个长度为": "可同时容纳 … 个 … token 的对话",
    r"(?:\d|\}) ?(?:s|min|h)(?![\w/])": "秒、分、小时",
    r"软体|硬体|网路|伺服器|档案|预设值": "软件、硬件、网络、服务、文件、默认值",
}
# A model is spoken to as people do.
SPOKEN = re.compile(r"chat\.(?:sample\.|system\.placeholder)")
MARKS = {
    rf"{HAN} ?[,;!?](?![\w/=])|{HAN}:(?!{HAN}+[；。,，]? |端口)": "，；！？：",
    rf"[,;!]{HAN}": "，；！",
    rf"\((?=[^)]*{HAN})|{HAN}\(": "（）",
    rf"{HAN}\.(?:\s|$)|{HAN}\.\.\.": "。 …",
    rf"{HAN}(?:GPU|token|KV cache)|(?:GPU|token|KV cache){HAN}": "a blank between Chinese and a Latin word",
    r"[，。；：！？] ": "no blank behind a full-width mark",
}


def chinese() -> Iterator[tuple[str, str]]:
    """Every text and every line of the Chinese README, with where it stands."""
    for key, text in texts().items():
        yield key, text["zh"]
    in_code = False
    for number, line in enumerate((ROOT / "README_zh.md").read_text(encoding="utf-8").splitlines(), start=1):
        in_code ^= line.startswith("```")
        if not in_code and not line.startswith("```"):
            yield f"README_zh.md:{number}", re.sub(r"`[^`]*`", "X", re.sub(r"\]\([^)]*\)", "]", line))


@pytest.mark.parametrize(("wrong", "right"), [*GLOSSARY.items(), *MARKS.items()])
def test_one_word_for_one_thing(wrong: str, right: str) -> None:
    found = [
        f"{where}: {text}"
        for where, text in chinese()
        if re.search(wrong, text) and not (wrong == "你" and SPOKEN.match(where))
    ]
    assert not found, f"{right} instead of {wrong}:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "KV 缓存占比",
        "共 3 个词元",
        "输入 3 tokens",
        "4 比特",
        "按哪张显卡规划",
        "{time} s",
        "你的对话",
        "校准, 第 0 层",
        "日志: x",
        "本机GPU",
    ],
)
def test_the_glossary_finds_what_it_is_for(text: str) -> None:
    assert any(re.search(wrong, text) for wrong in (*GLOSSARY, *MARKS))
