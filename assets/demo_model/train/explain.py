"""Questions about LMDeploy and their answers: topics.txt read, and wordings made of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from .grammar import expand, pick

FRAMES = {
    "en": [
        "{what is|what's|whats|wat is} {x}",
        "{what is|what's} {x} {exactly|actually|all about|again|in lmdeploy|in short}",
        "{explain|define|describe|clarify} {x}[ to me][ briefly|simply|in simple words|in short]",
        "{can|could|would|will} you {explain|describe|define|tell me about|say something about|clarify} {x}[ to me]",
        "what does {x} {mean|do|refer to|stand for}[ exactly|in practice]",
        "{tell me|say} [something|more|a bit|a little] about {x}",
        "{x}",
        "{x}",
        "{meaning|definition|explanation|purpose|role} of {x}",
        "i {don't|do not|didn't} {understand|get|know} {x}",
        "help me understand {x}",
        "what {do you know about|can you tell me about|should i know about} {x}",
        "{could|can} you tell me what {x} {is|means|does}",
        "i want to {know|learn|understand} [what] {x} [is]",
        "{give me|write|i need} a {short|brief|simple|quick} {explanation|definition|description|summary|introduction} of {x}",
        "how would you {explain|describe} {x} to a {beginner|student|child|friend}",
        "in {simple|plain|other|your own} words, what is {x}",
        "what is {x} {for|good for|used for|needed for}",
        "what's the {idea behind|point of|purpose of|use of|meaning of|concept of} {x}",
        "{i keep|i am} {hearing|reading} about {x}, what is it",
        "{teach me|show me} {x}",
        "{x}: what is it",
        "{x} {explained|meaning|definition|explanation}",
        "what {exactly |}is meant by {x}",
        "do you know {x}",
        "what kind of thing is {x}",
        "how does {x} work",
        "why {is there|do people use|would i use|use} {x}",
        "what {role|part} does {x} play",
        "what is this {x} thing",
        "what are we talking about when we say {x}",
        "{x} - what's that",
        "my {teacher|friend|colleague} {mentioned|talked about|asked me about} {x}, what is {it|that}",
        "{say|give me|write} a {word|sentence|line|few words} {on|about} {x}",
        "{sum up|summarize|outline|sketch} {x}[ for me]",
        "{x} in {one line|a nutshell|short|two sentences|plain language}",
        "the {gist|idea|basics|essence} of {x}",
        "{x}, what's {that|this|it}",
        "what's {x}, {then|now|please}",
        "what {hides|is hidden} behind {x}",
        "what {is|are} the {benefit|benefits|advantages|use|effect|idea|job|task|role|purpose} of {x}",
        "what's {special|important|interesting|new} about {x}",
        "what {does|would|will} {x} {control|limit|change|determine|set|affect|decide|bring|show|tell me|give me|contain|measure|mean for me}",
        "when {do i|should i|must i|would i} {need|use|set|choose|care about} {x}",
        "what {do|should|would|could} i {choose|enter|set|write|take|use|put} for {x}",
        "{which|what} value {should i|do i} {use|set|enter|choose} for {x}",
        "should i {worry|care|think|know} about {x}",
        "i have {never|not} heard of {x}[, what is it]",
        "what {would|do|will} i {gain|get|win|lose} {from|with|by} {x}",
        "is {x} {important|useful|good|needed|necessary|bad}",
        "{there's|there is} {something|a thing|a setting|an option} {called|named} {x}, {what is it|its meaning|what does it do}",
        "{walk|talk} me through {x}",
        "how {do|should} i {understand|imagine|picture|think of} {x}",
        "what {do people|do you|does one} {mean|understand} by {x}",
        "for what {reason|purpose} {do we have|is there|would i use} {x}",
        "{x} stands for what",
        "what {x} is[ about]",
        "how come there is {x}",
        "what {job|function|task} {has|does} {x}[ have]",
        "{where|how} is {x} used",
        "spell out {x}[ for me]",
        "i'd like to {know|understand|hear} more about {x}",
        "what's {x} there for",
        "got a question on {x}: what is it",
        "somebody {said|mentioned} {x}, what does {it|that} mean",
        "i {saw|read|found} {x} in the {docs|command|course|tutorial|settings}, what is it",
    ],
    "zh": [
        "什么是{x}",
        "{x}是什么",
        "{x}是什么意思",
        "{x}{是干什么的|是干嘛的|是做什么用的|有什么用|有什么作用|的作用是什么|是啥|啥意思|指的是什么|代表什么}",
        "{解释|说明|介绍|讲|讲解|说|描述}{一下|下|}{x}",
        "{请|麻烦|帮我|能不能|可以|能|你能}{解释|说明|介绍|讲讲|讲解|说说}{一下|下|}{x}{吗|}",
        "{x}",
        "{x}",
        "我{不懂|不明白|不理解|不知道|没听懂|没搞懂}{x}",
        "{告诉我|跟我说说|给我讲讲}{什么是|}{x}",
        "{x}{怎么理解|如何理解|该怎么理解|的含义|的定义|的概念|是什么东西|是什么概念}",
        "用{简单|通俗|一句}的?话{解释|说明|讲讲}{x}",
        "{想|我想}{知道|了解|学习|弄懂}{什么是|}{x}",
        "所谓{x}{是什么|是指什么|到底是什么}",
        "{x}到底是{什么|啥|干嘛的}",
        "给{初学者|学生|新手|小白}{解释|讲讲|介绍}{x}",
        "{谈谈|聊聊|科普一下|科普}{x}",
        "{为什么要用|为什么需要|为什么有}{x}",
        "{x}的原理{是什么|}",
        "{听说|看到|课程里提到}{x}，{那是什么|是什么意思|这是什么}",
        "{x}{究竟|到底}是{什么|啥|个啥|怎么回事|干什么的|什么意思}",
        "{x}{是怎么回事|怎么回事|是个什么东西|是什么原理|负责什么|管什么|管的是什么|控制什么|限制什么|影响什么|决定什么|说的是什么|有什么特点|有什么好处|有哪些好处|有什么效果|有什么优点}",
        "{一句话|用一句话|简单}{概括|总结|说明|介绍}{一下|}{x}",
        "{没听说过|没听过|第一次听说}{x}，{它|这}是{做什么的|什么|干嘛的}",
        "什么{叫|叫做|是所谓的}{x}",
        "{x}{该怎么填|怎么填|填什么|一般填多少|怎么设|该怎么设置|设成什么|怎么设置|取什么值}",
        "{讲|讲一|说}{讲|下|说}{x}的{好处|特点|思路|核心思想|原理|作用|意义}",
        "{x}的{思路|核心思想|好处|特点|意义|功能|目的}{是什么|在哪|}",
        "{x}{能做什么|能干什么|可以做什么|可以干嘛|起到什么作用|说明什么|衡量的是什么|里有什么|里面是什么}",
        "{什么时候|什么情况下|为什么}{需要|要用|会用到|必须用|要设}{x}",
        "{能|可以}{用大白话|通俗地|简单地}{讲讲|解释|说说}{x}吗",
        "{打开|开启|用了|设了|设置}{x}{会怎样|有什么不同|有什么好处|以后会怎样}",
        "大家{常说|总说}的{x}{到底|究竟|}{是什么|指什么}",
        "{x}是{哪个|什么}{部分|参数|选项|东西}",
        "{关于|对于}{x}，{能说说吗|我该知道什么|请介绍一下}",
        "有个{参数|选项|词|东西}叫{x}，{是什么|什么意思|干嘛的}",
        "{启动|命令|设置|文档}里的{x}{是管什么的|是什么|有什么用}",
        "{简单|简要|简短}{介绍|说明|说说}{x}",
        "{x}这个{词|概念|东西|参数|术语}{是什么意思|怎么理解|指什么}",
        "{x}{起什么作用|用来做什么|用来干嘛|是用来做什么的}",
    ],
}


@dataclass
class Topic:
    """One thing to explain: an answer, nouns and whole questions per language."""

    name: str
    answer: dict[str, str] = field(default_factory=dict)
    nouns: dict[str, list[str]] = field(default_factory=lambda: {"en": [], "zh": []})
    questions: dict[str, list[str]] = field(default_factory=lambda: {"en": [], "zh": []})


@lru_cache(maxsize=1)
def topics() -> tuple[Topic, ...]:
    """All topics of topics.txt, in its order."""
    found: list[Topic] = []
    for line in (Path(__file__).parent / "topics.txt").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(": ")
        if line.startswith("@"):
            found.append(Topic(line[1:].strip()))
        elif key in ("en", "zh"):
            found[-1].answer[key] = value.strip()
        elif key in ("x", "X"):
            found[-1].nouns["en" if key == "x" else "zh"] += [noun.strip() for noun in value.split(" | ")]
        elif key in ("q", "Z"):
            found[-1].questions["en" if key == "q" else "zh"].append(value.strip())
    return tuple(found)


def bare(question: str) -> str:
    """A question without case and closing marks, to compare wordings."""
    return question.strip().lower().rstrip("?？.。!！ ")


@lru_cache(maxsize=1)
def kept_back() -> frozenset[str]:
    """The wordings of the evaluation, which are never trained on."""
    lines = [
        line
        for name in ("topics.txt", "outside.txt")
        for line in (Path(__file__).parent / "unseen" / name).read_text(encoding="utf-8").splitlines()
    ]
    return frozenset(bare(part) for line in lines for part in line.split(" | "))


def wording(topic: Topic, language: str, rng: random.Random) -> str:
    """One of the many ways to ask for ``topic``, none of the evaluation's."""
    while True:
        text = _wording(topic, language, rng)
        if bare(text) not in kept_back():
            return text


def _wording(topic: Topic, language: str, rng: random.Random) -> str:
    nouns, questions = topic.nouns[language], topic.questions[language]
    chinese = language == "zh"
    share = 0.0 if not nouns else (1.0 if not questions else 0.5)
    if rng.random() >= share:
        return pick(questions, rng, chinese)
    noun = pick(nouns, rng, chinese)
    # The noun goes in after expansion: its own characters are no grammar.
    frame = expand(rng.choice(FRAMES[language]).replace("{x}", "\0"), rng, chinese)
    if chinese and noun[:1].isascii() and not frame.startswith("\0") and rng.random() < 0.5:
        noun = " " + noun
    return frame.replace("\0", noun).strip()
