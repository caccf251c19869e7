"""Answers as models write them, that Markdown, HTML or a table may eat; and how to see whether something was eaten."""

import random

MARKS = frozenset("*_`~#>-+|\\:=.)0123456789")  # what Markdown may take away: its marks, and a list's own numbers

# What is written, and the text that must stand on the page where it isn't just that (blanks don't count).
TABLE: tuple[tuple[str, str | None], ...] = (
    ("The placeholder is <your_key>, put it there.", None),
    ("Map<String, List<Integer>> m; std::vector<int> v;", None),
    ("if a<b and c>d then x. dy/dx <0 and >1", None),
    ("<script>alert(1)</script> and <style>body{display:none}</style> <title>t</title>", None),
    ("<textarea> opens; everything after it\n\nNext paragraph", None),
    ("<thought>hidden?</thought> visible", None),
    ("<|im_end|> and <s> and </s> and <unk>", None),
    ("<!-- a comment --> after it", None),
    ("<!-- not closed\n\nnext", None),
    ("<![CDATA[x]]> <?php echo 1 ?> <!DOCTYPE html>", None),
    ("&lt;b&gt; &amp; &nbsp; &copy; &#60; AT&T", None),
    ('<div style="position:fixed;inset:0;background:red" id="header-gpu">covers</div>', None),
    ('<form action="http://192.0.2.1/"><input name=a><button>d</button></form>', None),
    ("<svg onload=x><circle/></svg> <math><mi>x</mi></math>", None),
    ("<details><summary>more</summary>inside</details>", None),
    ("a line\n<br>\n<hr>\n<p>x</p>", None),
    ("<img src=x onerror=y> <iframe src=//192.0.2.1></iframe> <video><source></video>", None),
    ("跑步 3~5 天，每次 10~20 分钟，费用 100~200 元。", None),
    ("~single~ and ~~~three~~~ and ~/home and a ~ b", None),
    ("this is ~~struck~~ out", "this is struck out"),
    ("变量 __init__ 和 a*b*c，2*3*4，x**2+y**2", None),
    ("def __init__(self): __all__ = snake_case_name", None),
    ("COUNT(*) and SUM(*) and *args, **kwargs", None),
    ("路径 C:\\new\\table 和 \\\\server\\share\\", None),
    ("a backslash at the end \\\nand the next line\\", None),
    ("\\d+\\s*\\w regex \\n \\t", "\\d+\\s*\\w regex \\n \\t"),
    (">>> print(1)\n>>> x = 5", None),
    ("Heading?\n---\nno, a rule", "Heading?no, a rule"),
    ("Title\n=====\ntext", None),
    ("#hashtag and #1 and # alone\n#", None),
    ("[a]: http://192.0.2.1/b\n\n[a] and [b][a]", None),
    ("Footnote[^1].\n\n[^1]: The note.", None),
    ("- [ ] todo\n- [x] done", "[ ] todo[x] done"),
    ("[] [x] [ ](x) ![]() [](http://192.0.2.1) [empty]()", None),
    ("![a picture](http://192.0.2.1/spy.png)", None),
    ("[click](javascript:alert(1)) [f](file:///etc/passwd) [r](../up) [d](data:text/html,x)", None),
    ("[docs](https://example.org/a_b_c)", "docs"),
    ("see <https://example.org/x?a=1&b=2>.", "see https://example.org/x?a=1&b=2."),
    ("https://example.org/a_b*c*d(e)。中文 http://example.org, and", None),
    ("| a | b |\n|---|---|\n| 1 | 2 | 3 | 4 |\n| 5 |", "ab12 | 3 | 45"),
    ("| `a|b` | <T> |\n|---|---|\n| List<X> | a\\|b |", "a|b<T>List<X>a|b"),
    ("a | b\nc | d", None),
    ("|x|y|", None),
    ("    indented <code> & more\n    second\n\nafter", None),
    ("text\n    not code, <b>", None),
    ("Use `vector<int>` and ``a`b`` and `&lt;` and ` `` `", "Use vector<int> and a`b and &lt; and ``"),
    ("an `unclosed <tag> tick", None),
    ("```python\nx: List[int] = []\nprint('<b>&amp;</b>')\n```\nEnd.", "x: List[int] = []print('<b>&amp;</b>')End."),
    ("```\nnot closed <b>\n\n  # x", "not closed <b># x"),
    ("~~~html\n<p>&nbsp;</p>\n```\n~~~\nafter", "<p>&nbsp;</p>```after"),
    ("```mermaid\ngraph TD; A[<b>x</b>]-->B\n```", "graph TD; A[<b>x</b>]-->B"),
    ("```mermaid\n%%{init: {\"themeCSS\": \"* {position: fixed}\"}}%%\ngraph TD\n```",
     '%%{init: {"themeCSS": "* {position: fixed}"}}%%graph TD'),
    ("```js title=\"a <b>\"\nx < 1\n```", 'js title="a <b>"x < 1'),
    ("- item:\n  ```c\n  if (a<b && c>d)\n\n  x();\n  ```\n- next <i>", "item:if (a<b && c>d)x();next <i>"),
    ("- item:\n```c\na<b\n```\n- next", "item:a<bnext"),
    ("1. one <a>\n   - two <b>\n     > three <c>\n3. four", "one <a>two <b>three <c>four"),
    ("> quoted <x>\n> > twice\n> - list", "quoted <x>twicelist"),
    ("* a\n+ b\n- c\n1) d", "abcd"),
    ("The first costs $5 and the second $10, so $15.", None),
    ("%%%LATEX_BLOCK_0%%% and `%%%LATEX_BLOCK_1%%%`", "%%%LATEX_BLOCK_0%%% and %%%LATEX_BLOCK_1%%%"),
    ("```\n%%%LATEX_BLOCK_0%%% $$ x $$\n```", "%%%LATEX_BLOCK_0%%% $$ x $$"),
    ("`$$` and `$$`, echo $$ once", "$$ and $$, echo $$ once"),
    ("${window.ran=7} {{constructor}} {value} {% x %} <%= y %>", None),
    ("**粗体**后面，**“引号”**后面，*斜*体", "粗体后面，“引号”后面，斜体"),
    ("**not closed and *this neither", None),
    ("***both*** and **bold *in* it**", "both and bold in it"),
    ("   leading blanks\n\ttab", None),
    ("line one\nline two  \nline three", None),
    ("\u202eturned\u202c and \u200bzero", None),
    ("a\u2028b\u2029c", None),
    ("🦊<🍉> \U0001f468\u200d\U0001f469\u200d\U0001f467", None),
    ("a" * 300 + "<" + "b" * 300, None),
    ("2024. A year\n7. Next", "A yearNext"),
    ("a <b\nc> d </b\n>", None),
    ("<", None),
    ("<a href=\"x", None),
    ("&", None),
)  # fmt: skip

PIECES = (
    "<b>", "</b>", "<", ">", "&", "&lt;", "<!--", "-->", "<style>", "</div>", "<x y='z'>", "3~5", "~", "~~", "*", "**",
    "_", "__", "`", "``", "```", "```\n", "\n", "\n\n", " ", "  ", "    ", "- ", "1. ", "# ", "> ", "| ", "|", "---",
    "===", "\\",
    "词", "word", "a1", "“", "。", "(", ")", "[", "]", "!", "$", "$5", ":", "'", '"', "%", "\t", "+ ", "<T>", "{", "}",
)  # fmt: skip


def made(count: int, seed: int = 7) -> list[str]:
    """Answers made of such pieces: the same ones each time."""
    chance = random.Random(seed)
    return [f"a{''.join(chance.choices(PIECES, k=chance.randint(4, 24)))}z" for _ in range(count)]


def eaten(written: str, shown: str) -> str:
    """The first thing that was written and isn't shown in its place, "" where all is there.

    Blanks don't count, and marks that Markdown defines may be left out.
    """
    visible = "".join(shown.split())
    at = 0
    for place, sign in enumerate(written):
        if sign.isspace():
            continue
        if at < len(visible) and visible[at] == sign:
            at += 1
        elif sign not in MARKS:
            return f"{written[place : place + 20]!r} at {place}: shown {visible[max(0, at - 10) : at + 20]!r}"
    return "" if at == len(visible) else f"more than was written: {visible[at : at + 40]!r}"


def letters(text: str) -> str:
    """The text without blanks and marks."""
    return "".join(sign for sign in text if not sign.isspace() and sign not in MARKS)
