"""Scenes of simple shapes: what is drawn, and what can be asked and answered about it.

Positions are shares of the width and height; sizes are shares of the shorter side, so nothing depends on resolution.
The model sees every picture squeezed to a square, so only kinds are used that stay what they are when squeezed.
"""

from __future__ import annotations

import colorsys
import random
from dataclasses import dataclass

from .grammar import pick

KINDS = ("circle", "square", "triangle", "star", "heart", "cross")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey")
KIND_ZH = {"circle": "圆形", "square": "正方形", "triangle": "三角形", "star": "星形", "heart": "心形", "cross": "十字"}
COLOUR_ZH = {
    "red": "红色",
    "orange": "橙色",
    "yellow": "黄色",
    "green": "绿色",
    "blue": "蓝色",
    "purple": "紫色",
    "pink": "粉色",
    "brown": "棕色",
    "black": "黑色",
    "white": "白色",
    "grey": "灰色",
}
PLACE_EN = (
    "at the top left",
    "at the top",
    "at the top right",
    "on the left",
    "in the centre",
    "on the right",
    "at the bottom left",
    "at the bottom",
    "at the bottom right",
)
PLACE_ZH = ("左上方", "上方", "右上方", "左边", "中间", "右边", "左下方", "下方", "右下方")
# Hue in degrees, saturation and value: what everybody calls by that name.
RANGES = {
    "red": ((-13, 8), (0.68, 1), (0.6, 1)),
    "orange": ((23, 37), (0.8, 1), (0.88, 1)),
    "yellow": ((48, 60), (0.6, 1), (0.85, 1)),
    "green": ((92, 158), (0.38, 1), (0.34, 0.95)),
    "blue": ((200, 243), (0.45, 1), (0.45, 1)),
    "purple": ((263, 301), (0.42, 1), (0.38, 0.88)),
    "pink": ((322, 353), (0.2, 0.62), (0.92, 1)),
    "brown": ((14, 33), (0.38, 0.88), (0.27, 0.65)),
    "black": ((0, 360), (0, 0.3), (0, 0.13)),
    "white": ((0, 360), (0, 0.04), (0.95, 1)),
    "grey": ((0, 360), (0, 0.06), (0.36, 0.7)),
}
Rgb = tuple[float, float, float]


def shade(name: str, rng: random.Random) -> Rgb:
    """One of the colours called ``name``: red, green and blue from 0 to 1."""
    hue, saturation, value = (rng.uniform(*bounds) for bounds in RANGES[name])
    return colorsys.hsv_to_rgb(hue % 360 / 360, saturation, value)


def distance(a: Rgb, b: Rgb) -> float:
    """How far two colours are apart, 0 to about 1.7."""
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5


@dataclass
class Shape:
    """One drawn shape. ``x``, ``y``: centre as shares of width and height; ``size``: radius as a share of the shorter side."""

    kind: str
    colour: str
    rgb: Rgb
    x: float
    y: float
    size: float

    @property
    def place(self) -> int:
        """The cell of a 3 x 3 grid, row by row from the top left."""
        return min(2, int(self.y * 3)) * 3 + min(2, int(self.x * 3))


@dataclass
class Scene:
    """A picture: shapes on a plain background. ``aspect`` is width / height; ``background`` is None where it has no plain name."""

    shapes: list[Shape]
    background: str | None
    rgb: Rgb
    aspect: float
    clutter: bool = False

    def ordered(self) -> list[Shape]:
        """The shapes in reading order."""
        return sorted(self.shapes, key=lambda s: (s.place, s.x))


def _background(rng: random.Random) -> tuple[str | None, Rgb]:
    roll = rng.random()
    if roll < 0.45:
        name: str | None = "white"
    elif roll < 0.85:
        name = rng.choice(COLOURS)
    else:
        return None, (rng.random(), rng.random(), rng.random())
    assert name is not None
    return name, (1.0, 1.0, 1.0) if name == "white" and rng.random() < 0.7 else shade(name, rng)


def sample(rng: random.Random, count: int | None = None) -> Scene:
    """A random scene of ``count`` shapes (0 to 5; by default any, mostly 1 to 3). Shapes never overlap or lie on a cell's border."""
    background, rgb = _background(rng)
    aspect = 1.0 if rng.random() < 0.35 else 2 ** rng.uniform(-1.4, 1.4)
    wide, high = max(1.0, aspect), max(1.0, 1 / aspect)
    if count is None:
        count = rng.choices(range(6), (3, 26, 26, 21, 13, 11))[0]
    largest = (0.4, 0.4, 0.27, 0.22, 0.18, 0.16)[count]
    names = [c for c in COLOURS if c != background]
    alike = rng.random()
    one_kind, one_colour = rng.choice(KINDS), rng.choice(names)
    shapes: list[Shape] = []
    for _ in range(count):
        for _attempt in range(40):
            size = rng.uniform(0.055, largest)
            x, y = (
                rng.uniform(size * 1.05 / wide, 1 - size * 1.05 / wide),
                rng.uniform(size * 1.05 / high, 1 - size * 1.05 / high),
            )
            if any(abs(v * 3 - border) < 0.1 for v in (x, y) for border in (1, 2)):
                continue
            if any(((x - s.x) * wide) ** 2 + ((y - s.y) * high) ** 2 < (1.25 * (size + s.size)) ** 2 for s in shapes):
                continue
            kind = one_kind if alike < 0.3 and rng.random() < 0.75 else rng.choice(KINDS)
            colour = one_colour if 0.15 < alike < 0.45 and rng.random() < 0.75 else rng.choice(names)
            tone = shade(colour, rng)
            if distance(tone, rgb) < 0.33:
                continue
            shapes.append(Shape(kind, colour, tone, x, y, size))
            break
    return Scene(shapes, background, rgb, aspect)


# ---- words ----

KIND_WORDS = {
    "en": {
        "circle": ["circle", "circle", "circle", "disc", "round shape"],
        "square": ["square"],
        "triangle": ["triangle"],
        "star": ["star"],
        "heart": ["heart"],
        "cross": ["cross", "cross", "plus sign"],
    },
    "zh": {
        "circle": ["圆形", "圆", "圆圈"],
        "square": ["正方形", "方块", "方形"],
        "triangle": ["三角形", "三角"],
        "star": ["星形", "星星", "五角星"],
        "heart": ["心形", "爱心", "心"],
        "cross": ["十字", "十字形", "加号"],
    },
}
COLOUR_WORDS = {
    "en": {c: [c] for c in COLOURS} | {"grey": ["grey", "gray"], "purple": ["purple", "purple", "violet"]},
    "zh": {c: [COLOUR_ZH[c], COLOUR_ZH[c], COLOUR_ZH[c][0]] for c in COLOURS}
    | {
        "grey": ["灰色"],
        "pink": ["粉色", "粉红色"],
        "brown": ["棕色", "褐色"],
        "white": ["白色"],
        "orange": ["橙色", "橘色", "橘黄色"],
        "black": ["黑色"],
    },
}
PLACE_WORDS = {
    "en": (
        ["{at|in} the top left[ corner]", "in the upper left[ corner]", "top left"],
        ["at the top[ centre| middle]", "at the top in the middle"],
        ["{at|in} the top right[ corner]", "in the upper right[ corner]", "top right"],
        ["{on|at} the left[ side| edge|, halfway up]", "{in the middle|halfway up} on the left"],
        ["in the {centre|center|middle}[ of the picture]", "in the very {centre|middle}"],
        ["{on|at} the right[ side| edge|, halfway up]", "{in the middle|halfway up} on the right"],
        ["{at|in} the bottom left[ corner]", "in the lower left[ corner]", "bottom left"],
        ["at the bottom[ centre| middle]", "at the bottom in the middle"],
        ["{at|in} the bottom right[ corner]", "in the lower right[ corner]", "bottom right"],
    ),
    "zh": (
        ["左上方", "左上角", "左上"],
        ["上方", "正上方", "上面中间", "顶部"],
        ["右上方", "右上角", "右上"],
        ["左边", "左侧", "左边中间"],
        ["中间", "中央", "正中间", "中心"],
        ["右边", "右侧", "右边中间"],
        ["左下方", "左下角", "左下"],
        ["下方", "正下方", "下面中间", "底部"],
        ["右下方", "右下角", "右下"],
    ),
}
PLURAL = {"cross": "crosses"}


def name(shape: Shape, language: str) -> str:
    """``red circle`` or ``红色圆形``."""
    return f"{shape.colour} {shape.kind}" if language == "en" else COLOUR_ZH[shape.colour] + KIND_ZH[shape.kind]


def _a(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def _plural(kind: str) -> str:
    return PLURAL.get(kind, kind + "s")


def listing(shapes: list[Shape], language: str) -> str:
    """The shapes with their places, joined as a person would."""
    if language == "en":
        items = [f"{_a(name(s, 'en'))} {PLACE_EN[s.place]}" for s in shapes]
        return (
            items[0]
            if len(items) == 1
            else f"{items[0]} and {items[1]}"
            if len(items) == 2
            else ", ".join(items[:-1]) + ", and " + items[-1]
        )
    items = [f"{PLACE_ZH[s.place]}的{name(s, 'zh')}" for s in shapes]
    return items[0] if len(items) == 1 else "、".join(items[:-1]) + "和" + items[-1]


CLUTTER = {
    "en": "I can't make out simple shapes in this picture. I only know drawings of circles, squares, triangles, stars, hearts and crosses.",
    "zh": "我在这张图里看不出简单图形。我只认识圆形、正方形、三角形、星形、心形和十字的图画。",
}
EMPTY = {"en": "The picture shows no shapes.", "zh": "图中没有图形。"}


def describe(scene: Scene, language: str) -> str:
    """What is in the picture, every shape with colour and place."""
    shapes = scene.ordered()
    if scene.clutter:
        return CLUTTER[language]
    if not shapes:
        return EMPTY[language]
    if language == "en":
        return (
            f"The picture shows {listing(shapes, 'en')}."
            if len(shapes) == 1
            else f"The picture shows {len(shapes)} shapes: {listing(shapes, 'en')}."
        )
    return f"图中有 {len(shapes)} 个图形：{listing(shapes, 'zh')}。"


def count_answer(number: int, colour: str | None, kind: str | None, language: str) -> str:
    """How many of them there are."""
    if language == "en":
        words = " ".join(w for w in (colour, kind or "shape") if w)
        many = " ".join(w for w in (colour, _plural(kind or "shape")) if w)
        return (
            f"There is 1 {words}."
            if number == 1
            else f"There are no {many}."
            if number == 0
            else f"There are {number} {many}."
        )
    words = (COLOUR_ZH[colour] if colour else "") + (
        ("的图形" if colour else "图形") if kind is None else KIND_ZH[kind]
    )
    return f"图中没有{words}。" if number == 0 else f"图中有 {number} 个{words}。"


ASK = {
    "describe": {
        "en": [
            "what {is|do you see|can you see|can be seen|is drawn|is shown|is there|have i drawn|did i draw} {in|on} {the|this|my} {picture|image|photo|drawing|sketch}",
            "{describe|explain|tell me about|look at} {the|this|my} {picture|image|drawing|photo}[ for me| in words| in detail]",
            "what {is this|do you see|can you see|did i draw|have i drawn|is it|does it show|is here|do you see here}",
            "what does {the|this|my} {picture|image|drawing} {show|contain|depict}",
            "{list|name|tell me|give me} {all |}[the ]{shapes|things|objects|figures}[ in the picture| you see]",
            "which shapes {are there|do you see|can you see|are in the picture|does it have}",
            "{can|could} you {describe|tell me} what {is in the picture|you see}[ here]",
            "describe {it|what you see|this}",
            "{picture|image} description",
            "what's {in|on} {the|this} {picture|image}",
            "what's this",
            "{a |the |}description of {the|this} {picture|image}",
            "{please |}{have|take} a look {at this|at it|here|at my {sketch|drawing|picture}}[ and {tell me|say} what {it shows|you see|is there}]",
            "what can {be seen|be made out|you make out|one see|be found}{ here| in it| in this {picture|image}|}",
            "say what {is to be seen|you see|this is|is drawn|there is}{ here| in my {sketch|drawing}|}",
            "what {happens|is going on|is visible|is to be seen|appears} {in|on} {this|the} {image|picture|sketch|drawing}",
            "{tell|show} me {everything|all|what} {you see|is there|it shows}",
        ],
        "zh": [
            "{图里|图中|图片里|图片中|这张图里|这张图片里|画里|画面中|照片里|图上|画上}{有什么|有些什么|画了什么|都有什么|有哪些图形|是什么|有哪些东西|能看到什么}",
            "{描述|说明|介绍|看看|形容|说说}{一下|下|}{这张图|图片|这张图片|这幅画|我画的图|这个图|图里的内容}{吧|}",
            "{你|}{看到|看见}了?{什么|哪些图形|些什么}",
            "这{是|画的是|上面是|里面有}{什么|些什么}",
            "我画{了|的是}什么",
            "{列出|说出|告诉我}{所有|全部|}的?图形",
            "有哪些图形",
            "这{张|幅}{图|画}{画|显示|展示}{的是|了}什么",
            "{帮我|请}{描述|看看}{这张图|图片|这幅画}",
            "图片内容{是什么|}",
            "看图说话",
            "{请|麻烦|}{看|看看|瞧瞧|看一下}{这张图|这幅画|图片|这个}，{里面|上面|都|}{画了|有|是}{什么|些什么|哪些东西}",
            "{这幅|这张}?{图|画}的?内容{请|}{说一说|讲一讲|是什么|说说}",
            "{图|图片|画}里面{能看见|能看到|有|画了}{什么|些什么}",
            "{麻烦|请}{描述|说|讲}{下|一下}我画的{东西|图|画}",
            "{能|可以}看{到|见}{什么|哪些图形}",
        ],
    },
    "count": {
        "en": [
            "how many {w} {are there|do you see|can you see|are in the {picture|image|drawing}|does the picture {show|have}|are drawn|can you count|did i draw|are shown}",
            "{count|number of} [the |all ]{w}[ in the picture]",
            "what is the number of {w}",
            "{tell me|say} how many {w} there are",
            "how many {w}",
            "{the |what is the |what's the |give me the |say the |tell me the |}{total|number|amount|count|sum|total number} of {all |the |}{w}[ in it| here| that you see| in total| drawn| there]",
            "how many {w} {can you find|can you spot|can be found|can you make out|does it have|has the picture|have been drawn|exist|altogether|in total|in all|here}",
            "count {them: |}{all the |the |}{w}[ for me| please| here]",
            "{find|determine|report} the number of {w}",
            "are there {one|two|three|some|many} {w}, how many",
            "{can|could} you count the {w}",
            "how often do you see a {s}",
        ],
        "zh": [
            "{有|图里有|图中有|图片里有|一共有|总共有|画了}{几个|多少个|多少|几}{w}",
            "{w}{有|一共有|总共}{几个|多少个|多少}",
            "{数|数一数|数一下|数数}{有几个|}{w}{有几个|}",
            "{几个|多少个}{w}",
            "{w}的{数量|个数}{是多少|}",
            "你{看到|看见}{几个|多少个}{w}",
            "告诉我有{几个|多少个}{w}",
            "{请|}{数出|数一数|统计|算算|点一点}{图里|这里|图中|}的?{w}{有几个|的个数|的数量|}",
            "{w}{总共|一共|加起来|合计}{有|是|}{几个|多少个|多少}",
            "{能|可以|你}{找到|看出|数出|认出}{几个|多少个}{w}",
            "{这里|这张图|图上|画面}{能|可以|一共|总共|}{看到|找到|有}{几个|多少个}{w}",
        ],
    },
    "colour": {
        "en": [
            "{what|which} colo{u|}r {is|does} the {w}[ have]",
            "what{'s| is} the colo{u|}r of the {w}",
            "the colo{u|}r of the {w}",
            "{tell me|name|say} the colo{u|}r of the {w}",
            "{in |}what colo{u|}r is the {w}[ drawn| painted| filled| in the picture]",
            "which colo{u|}r has the {w}",
            "colo{u|}r of {w}",
            "{what|which} colo{u|}r {was used|did i use|has been given|is used|do you see} {for|in|on} {the|that|this} {w}",
            "the {w}: {what|which} colo{u|}r[ is it| does it have]",
            "the {w} is {what|which} colo{u|}r",
            "{can|could} you {tell|name|say|see} {me |}the colo{u|}r of {the|that|this} {w}",
            "{that|this} {w}, what colo{u|}r is it",
            "how is the {w} colo{u|}red",
        ],
        "zh": [
            "{w}是{什么|啥|哪种|何种}颜色{的|}",
            "{w}的颜色{是什么|是|}",
            "{w}{什么|啥}颜色",
            "{告诉我|说说}{w}{是什么|的}颜色",
            "{那个|这个|图里的|图中的}{w}是什么颜色",
            "{w}用的?什么颜色",
            "{请|}{说出|说说|指出|看看}{那个|图上|}{w}的?颜色",
            "{图上|这个|那|图片里}的?{w}{是|涂的是|用的是|画成了}{哪种|什么|啥}颜色{呢|}",
            "{w}{涂|画}成?了?什么颜色",
        ],
    },
    "background": {
        "en": [
            "{what|which} colo{u|}r is the background",
            "what is the {background colo{u|}r|colo{u|}r of the background}",
            "background colo{u|}r",
            "on what colo{u|}r {are|is} the shape{s|} drawn",
            "how is the background colo{u|}red",
            "which colo{u|}r has the background",
            "what is behind the shapes",
            "describe the background",
            "{what|which} colo{u|}r {did i use|was used|do you see|is used} {for|in|as} the background",
            "{the |}colo{u|}r {behind|around|under} the shapes",
            "{tell me|say|name} the {background colo{u|}r|colo{u|}r of the background}",
        ],
        "zh": [
            "背景{是什么|什么|是啥|的}颜色",
            "背景{颜色|色}{是什么|}",
            "{图片|图}的?背景{是什么颜色|颜色是什么}",
            "底色{是什么|}",
            "背景是{什么|哪种颜色}的",
            "描述一下背景",
            "{请问|请说出|说说|看看}?背景的?颜色{是|是什么|}",
            "{图|图片|画}的?背景{用|涂}的?{是|}什么颜色",
            "图形后面是什么颜色",
        ],
    },
    "where": {
        "en": [
            "where is the {w}[ in the picture| located| placed| drawn]",
            "where {can i find|do you see|in the picture is} the {w}",
            "{what is the |}{position|location|place} of the {w}",
            "in {which|what} {part|corner|place|area} of the {picture|image} is the {w}",
            "{tell me|say|show me} where the {w} is",
            "locate the {w}",
            "find the {w}",
            "where's the {w}",
            "at which place is the {w}",
            "whereabouts {do you see|in the picture is|can i see} the {w}",
            "{on|in|at} {which|what} {side|part|corner|area|region|spot} {do you {find|see}|is|can you see|would i find} the {w}",
            "{tell|show|give} me the {position|place|spot|location} of the {w}",
            "the {w} is where",
            "{place|position} of the {w}",
            "which position {has|does} the {w}[ have]",
        ],
        "zh": [
            "{w}在{哪里|哪儿|哪|什么位置|什么地方|哪个位置|图的哪里|图中哪里|哪边|哪个方位}",
            "{w}的位置{是|在哪|在哪里|}",
            "{找|找到|找一下|指出}{w}{的位置|在哪|}",
            "{告诉我|说说}{w}在哪{里|}",
            "{那个|这个|图里的|图中的}{w}在哪{里|}",
            "{哪里|哪儿}有{w}",
            "{w}{位于|处在|出现在|画在|放在}{图的|图中|图片的|}{什么地方|哪里|什么位置|哪个位置|哪个方向|哪一块|哪一边}",
            "{请|}{指出|说出|找出|标出}{w}{在什么位置|的位置|在哪里|在哪}",
            "{w}在{图片|画面|图}的?{哪里|哪一块|哪个角|什么地方|哪个位置}",
        ],
    },
    "exists": {
        "en": [
            "is there {s}[ in the picture| here| anywhere]",
            "{do you|can you} see {s}",
            "does the {picture|image|drawing} {have|contain|show} {s}",
            "is {s} in the {picture|image}",
            "are there any {w}[ in the picture]",
            "did i draw {s}",
            "is there {s} {in|on} the {picture|image|drawing}",
            "can {s} be seen",
            "does {s} appear[ in the picture]",
            "have i drawn {s}[ in it| on it]",
            "{can|could|do} you {find|spot|detect|notice|make out} {s}[ here| in it| in the picture| somewhere]",
            "{would you say|do you think|is it true} {that |}there is {s}[ here| in the picture]",
            "{s}, is there one",
            "{tell me|say} {if|whether} there is {s}",
            "any {w} {here|in the picture|in it}",
        ],
        "zh": [
            "{图里|图中|图片里|这里|图上|画里|}{有没有|是否有}{w}",
            "{图里|图中|图片里|这里|图上|画里|}有{w}吗",
            "{能|你能|可以}{看到|看见|找到}{w}吗",
            "{w}{在图里吗|存在吗|有吗|在吗}",
            "我画{了|过}{w}吗",
            "{你|}看到{w}了?吗",
            "有{w}{么|没有}",
            "{图片|图|画}{上|里|中}是{不是|否}有{w}",
            "{这里|这|图}{里|里面|上面|中|上}{有没有|有|是否有}{w}{吗|}",
            "你{能|可以}{找|找到|看见|看出|认出}{w}吗",
            "{存不存在|是否存在|有无}{w}",
            "{请问|看看|告诉我}{有没有|有无}{w}",
        ],
    },
    "larger": {
        "en": [
            "which {is|one is|shape is} {larger|bigger}[, the | : the | - the |: |, ]{w1} or the {w2}",
            "is the {w1} {larger|bigger} than the {w2}",
            "what is {larger|bigger}, the {w1} or the {w2}",
            "the {w1} or the {w2}, which is {larger|bigger}",
            "{compare the sizes of|compare} the {w1} and the {w2}",
            "which of the {w1} and the {w2} is {larger|bigger}",
            "{of|between|from} the {w1} and the {w2}, {which|which one|what} is {larger|bigger|the larger|the bigger|the larger one|the bigger one}",
            "which one is {larger|bigger}: the {w1} or the {w2}",
            "{tell me|say} {which is|what is} {larger|bigger}, {w1} or {w2}",
            "{larger|bigger}: the {w1} or the {w2}",
            "{w1} or {w2}, which {one |}is {larger|bigger}",
        ],
        "zh": [
            "{w1}和{w2}{哪个|谁|哪一个}{更|比较|}{大|大一些}",
            "{哪个|谁}更?大，{w1}还是{w2}",
            "{w1}比{w2}大吗",
            "{w1}大还是{w2}大",
            "比较{一下|}{w1}和{w2}的?大小",
            "{w1}{跟|与}{w2}{比|相比}{哪个|谁}大",
            "{w1}{和|跟|与}{w2}，{哪个|谁|哪一个|哪个图形}{比较|更|要|}{大|大一些|大一点}",
            "{请|}{比较|比一比|对比}{w1}{和|跟|与}{w2}，{谁|哪个}{更|比较|}大",
            "{是|}{w1}{大|更大}还是{w2}{大|更大}",
        ],
    },
    "largest": {
        "en": [
            "which {shape|one|figure|object} is the {largest|biggest}",
            "what is the {largest|biggest} {shape|thing|object|figure}[ in the picture]",
            "{name|find|tell me} the {largest|biggest} shape",
            "the {largest|biggest} shape",
            "which is the {largest|biggest}[ of all]",
            "which shape is {larger|bigger}",
        ],
        "zh": [
            "{哪个|哪一个|什么}图?形?最大",
            "最大的{图形|是什么|是哪个|那个是什么|形状}{是什么|是哪个|}",
            "{找出|告诉我|说出}最大的图形",
            "{哪个|哪一个}图形{更大|比较大}",
        ],
    },
    "smallest": {
        "en": [
            "which {shape|one|figure|object} is the smallest",
            "what is the smallest {shape|thing|object|figure}[ in the picture]",
            "{name|find|tell me} the smallest shape",
            "the smallest shape",
            "which is the smallest[ of all]",
            "which shape is smaller",
        ],
        "zh": [
            "{哪个|哪一个|什么}图?形?最小",
            "最小的{图形|是什么|是哪个|那个是什么|形状}{是什么|是哪个|}",
            "{找出|告诉我|说出}最小的图形",
            "{哪个|哪一个}图形{更小|比较小}",
        ],
    },
    "at": {
        "en": [
            "what {is|do you see|can you see|is drawn|is there|is shown} {w}",
            "which shape is {w}",
            "{w}, what {is there|do you see}",
            "what shape is {w}",
            "what's {w}",
            "{name|describe} the shape {w}",
            "{tell me|say} what is {w}",
            "is there {anything|something} {w}",
        ],
        "zh": [
            "{w}{是什么|有什么|是啥|画了什么|是什么图形|有什么图形|有什么东西|的图形是什么|是什么形状}",
            "{图里|图的|图中|图片}{w}{是什么|有什么}",
            "{什么|哪个图形}在{w}",
            "{w}有东西吗",
            "{说说|看看}{w}{有什么|是什么}",
        ],
    },
    "of_colour": {
        "en": [
            "{what|which shape|which one|which object} is {w}",
            "what is the {w} {shape|thing|object|figure|one}",
            "{which|what} shape {has the colo{u|}r {w}|is drawn in {w}|is painted {w}}",
            "what kind of shape is {w}",
            "what do you see in {w}",
            "the {w} {thing|shape}, what is it",
            "name the {w} shape",
        ],
        "zh": [
            "{什么|哪个|哪个图形}是{w}的",
            "{w}的?{是什么|图形是什么|东西是什么|是什么图形|是什么形状|是哪个}",
            "{w}的?那个是什么",
            "{w}图形是{什么|哪个}",
        ],
    },
}
FIRST = {"en": ("first", "second"), "zh": ("第一张", "第二张")}
ASK_TWO = {
    "both": {
        "en": [
            "compare {the|these} [two ]{pictures|images|photos|drawings}",
            "what {is|are} {the|} difference{s|} [between ]{the|these} [two ]{pictures|images}",
            "what is in {the|these} two {pictures|images}",
            "describe {both|the two} {pictures|images}",
            "how do {the|these} [two ]{pictures|images} differ",
            "{list|tell me} the differences",
            "what {is|has} {different|changed}",
            "what do you see in {both|these} {pictures|images}",
            "describe each {picture|image}",
            "{comparison|compare}[ them| both]",
            "what do the two {pictures|images} show",
            "what do {the|these} [two ]{pictures|images} show{, and| and|,} {how do they differ|what is different|what are the differences}",
            "{please |}compare {the|these|my} [two ]{pictures|images|drawings}[ for me]",
            "how {are|do} {the|these} {pictures|images} {different|differ|compare}",
            "{first|one} and {second|other} {picture|image}: {what is different|compare them}",
        ],
        "zh": [
            "{比较|对比}{一下|}{这|}{两张|两幅|两个}{图|图片|画}",
            "{这|}两张{图|图片}{有什么|有哪些}{不同|区别|差别|不一样}",
            "{描述|说说}{一下|}{这|}两张{图|图片}",
            "{这|}两张{图|图片}{里|中|上|}{有|画了|是}什么",
            "{找|找出}{不同|区别}",
            "{哪里|有什么}不一样",
            "{两张图|两张图片|它们}的?区别{是什么|}",
            "分别描述{这|}两张{图|图片}",
            "{请|帮我|}{比较|对比|看看}{一下|下|}{这|}两张{图|图片|画}的?{不同|区别|差别|内容|}",
            "{这|}两张{图|图片}{分别|各}{画|有|是}了?什么{，有什么区别|，区别在哪|}",
            "{第一张和第二张|这两张}{图|图片|}{有什么|有何}{不同|区别}",
        ],
    },
    "more": {
        "en": [
            "which {picture|image|one} {has|shows|contains} more {w}",
            "where are {there |}more {w}, in the first or [in ]the second {picture|image}",
            "are there more {w} in the first or [in ]the second {picture|image}",
            "in which {picture|image} are [there ]more {w}",
            "does the first or the second {picture|image} have more {w}",
            "which {of the|of these} [two ]{pictures|images} {has|shows|contains} {more|the most} {w}",
            "where {do you|can you} {count|see|find} more {w}[, {in |}the first {picture |}or the second]",
            "{first or second|which picture}: more {w}",
            "more {w}: first or second {picture|image}",
        ],
        "zh": [
            "{哪张|哪一张|哪幅}{图|图片|画}{里|中|}{的|有}?{更多|较多的|比较多}的?{w}",
            "{哪张|哪一张}{图|图片}的?{w}{更多|多|比较多|多一些}",
            "{w}{哪张|哪一张}{图|图片|}{里|}更?多",
            "第一张和第二张{哪张|哪个}{w}更?多",
            "{这|}两张图{里|中|}{哪一张|哪张}的?{w}{更多|多|比较多}",
            "{请问|看看|告诉我}哪{张|一张}{图片|图}{w}{更|比较}?多",
            "{w}多的是哪{一张|张}",
        ],
    },
    "which": {
        "en": [
            "which {picture|image|one} {has|shows|contains} {s}",
            "in which {picture|image|one} is {there |}{s}",
            "where is {the|} {w}, in the first or [in ]the second {picture|image}",
            "{s} is in which {picture|image}",
            "which of the two {pictures|images} {has|shows} {s}",
            "does the first or the second {picture|image} {have|show} {s}",
            "{on|in} which {of the|of these} [two ]{pictures|images} {is there|do you see|can you see|is} {s}",
            "which {of the|of these} [two ]{pictures|images} {has|shows|contains} {s}",
            "{find|show me|tell me} the {picture|image} with {s}",
            "{s}: first or second {picture|image}",
        ],
        "zh": [
            "{哪张|哪一张|哪幅}{图|图片|画}{里|中|上|}{有|画了}{w}",
            "{w}在{哪张|哪一张|哪幅}{图|图片|画}{里|上|中|}",
            "{两张图|}{里|}{哪张|哪一张}有{w}",
            "第一张{还是|和}第二张有{w}",
            "{这|}两张{图|图片}{里|中|}，?{哪张|哪一张}{画了|有|画的是|出现了}{w}",
            "{w}{出现在|画在|是在}{哪一张|哪张}{图|图片|}{里|上|}",
            "{请|}{找出|指出}有{w}的{图|那张|图片}",
        ],
    },
    "nth": {
        "en": [
            "what is {in|on} the {o} {picture|image}",
            "describe the {o} {picture|image|one}",
            "what does the {o} {picture|image} show",
            "what do you see in the {o} {picture|image}",
            "and the {o}[ one]",
            "{tell me|say} what the {o} {picture|image} shows",
        ],
        "zh": [
            "{o}{图|图片|}{里|中|上|}{有什么|是什么|画了什么}",
            "描述{一下|}{o}{图|图片|}",
            "{说说|看看}{o}{图|图片|}",
            "{o}{图|图片}{呢|显示了什么}",
        ],
    },
    "same": {
        "en": [
            "are {the|these} [two ]{pictures|images} {the same|equal|identical|alike}",
            "do {the|these|both} [two ]{pictures|images} show the same[ thing]",
            "is it {the same|twice the same} {picture|image}",
            "same {picture|image}[s] or not",
        ],
        "zh": [
            "{这|}两张{图|图片|画}{一样|相同|是一样的|完全相同}吗",
            "{是不是|是否}{同一张|一样的}{图|图片}",
            "两张图{一样不一样|是否相同|有没有区别}",
            "它们{相同|一样}吗",
        ],
    },
}


def _words(kind: str | None, colour: str | None, language: str, rng: random.Random, plural: bool = False) -> str:
    parts = []
    if colour:
        word = rng.choice(COLOUR_WORDS[language][colour])
        parts.append(
            word + ("的" if language == "zh" and (kind is None or rng.random() < 0.4) and word.endswith("色") else "")
        )
    if kind:
        word = rng.choice(KIND_WORDS[language][kind])
        parts.append(word if not plural or language == "zh" else "crosses" if word == "cross" else word + "s")
    else:
        parts.append(
            rng.choice(
                ["shape", "shape", "figure", "object", "thing"]
                if language == "en"
                else ["图形", "图形", "形状", "东西"]
            )
            + ("s" if plural and language == "en" else "")
        )
    if language == "en":
        return " ".join(parts)
    return (
        "".join(parts)
        if not (colour and not parts[0].endswith(("色", "的")))
        else parts[0] + ("色" if rng.random() < 0.3 else "") + parts[1]
    )


def _fill(pattern: str, rng: random.Random, chinese: bool, **words: str) -> str:
    for i, key in enumerate(words):
        pattern = pattern.replace("{" + key + "}", chr(1 + i))
    text = pick([pattern], rng, chinese)
    for i, word in enumerate(words.values()):
        text = text.replace(chr(1 + i), word)
    return text


def _selections(scene: Scene, rng: random.Random) -> tuple[str | None, str | None]:
    """A kind and a colour to ask for, either may be None; mostly what is there."""
    there = rng.choice(scene.shapes) if scene.shapes and rng.random() < 0.7 else None
    kind: str | None = there.kind if there else rng.choice(KINDS)
    colour: str | None = there.colour if there and rng.random() < 0.8 else rng.choice(COLOURS)
    roll = rng.random()
    return (kind, None) if roll < 0.4 else (None, colour) if roll < 0.55 else (kind, colour)


def matching(scene: Scene, kind: str | None, colour: str | None) -> list[Shape]:
    """The shapes of that kind and colour, in reading order."""
    return [s for s in scene.ordered() if kind in (None, s.kind) and colour in (None, s.colour)]


def _unique(scene: Scene, rng: random.Random) -> tuple[Shape, str | None, str | None] | None:
    """A shape that kind, or kind and colour, tell apart from the others."""
    for shape in rng.sample(scene.shapes, len(scene.shapes)):
        for kind, colour in rng.sample([(shape.kind, None), (shape.kind, shape.colour)], 2):
            if len(matching(scene, kind, colour)) == 1:
                return shape, kind, colour
    return None


def exists_answer(scene: Scene, kind: str | None, colour: str | None, language: str) -> str:
    """Yes or no, and what was asked for."""
    found = bool(matching(scene, kind, colour))
    if language == "en":
        words = " ".join(w for w in (colour, kind or "shape") if w)
        return f"Yes, there is {_a(words)}." if found else f"No, there is no {words}."
    words = (COLOUR_ZH[colour] if colour else "") + (
        ("的图形" if colour else "图形") if kind is None else KIND_ZH[kind]
    )
    return f"有，图中有{words}。" if found else f"没有，图中没有{words}。"


def by_size(scene: Scene, ratio: float = 1.4) -> tuple[Shape | None, Shape | None]:
    """The clearly largest and the clearly smallest shape, or None."""
    order = sorted(scene.shapes, key=lambda s: s.size)
    if len(order) < 2:
        return None, None
    return (order[-1] if order[-1].size > ratio * order[-2].size else None), (
        order[0] if order[1].size > ratio * order[0].size else None
    )


def ask(scene: Scene, language: str, rng: random.Random, kind: str | None = None) -> tuple[str, str, str]:
    """A question kind that fits the scene, its question and its answer. A given ``kind`` is used where it fits."""
    chinese = language == "zh"
    if scene.clutter or not scene.shapes:
        if scene.clutter or rng.random() < 0.6 or kind == "describe":
            return "describe", pick(ASK["describe"][language], rng, chinese), describe(scene, language)
        kind = rng.choice(["count", "exists", "background"])
    for _attempt in range(20):
        what = kind or rng.choices(list(ASK), (24, 16, 14, 4, 16, 10, 7, 4, 3, 8, 6))[0]
        kind = None if scene.shapes else "count"
        patterns = rng.choice(ASK[what][language])
        if what == "describe":
            return what, pick([patterns], rng, chinese), describe(scene, language)
        if what == "count":
            k, c = (None, None) if rng.random() < 0.4 else _selections(scene, rng)
            text = _fill(patterns, rng, chinese, w=_words(k, c, language, rng, True), s=_words(k, c, language, rng))
            return what, text, count_answer(len(matching(scene, k, c)), c, k, language)
        if what == "background":
            if scene.background is None:
                continue
            answer = (
                f"The background is {scene.background}." if not chinese else f"背景是{COLOUR_ZH[scene.background]}。"
            )
            return what, pick([patterns], rng, chinese), answer
        if what in ("colour", "where"):
            unique = _unique(scene, rng)
            if unique is None:
                continue
            shape, k, c = unique
            if what == "colour":
                if c is not None and len(matching(scene, shape.kind, None)) != 1:
                    continue
                words = _words(shape.kind, None, language, rng)
                if len(scene.shapes) == 1 and rng.random() < 0.3:
                    words = _words(None, None, language, rng)
                answer = (
                    f"The {shape.kind} is {shape.colour}."
                    if not chinese
                    else f"{KIND_ZH[shape.kind]}是{COLOUR_ZH[shape.colour]}。"
                )
            else:
                if len(matching(scene, None, shape.colour)) == 1 and rng.random() < 0.15:
                    k, c = None, shape.colour
                words = _words(k, c, language, rng)
                answer = (
                    f"The {name(shape, 'en')} is {PLACE_EN[shape.place]}."
                    if not chinese
                    else f"{name(shape, 'zh')}在{PLACE_ZH[shape.place]}。"
                )
            return what, _fill(patterns, rng, chinese, w=words), answer
        if what == "exists":
            k, c = _selections(scene, rng)
            words = _words(k, c, language, rng)
            return (
                what,
                _fill(patterns, rng, chinese, s=_a(words), w=_words(k, c, language, rng, not chinese)),
                exists_answer(scene, k, c, language),
            )
        if what == "larger":
            if len(scene.shapes) < 2:
                continue
            one, two = rng.sample(scene.shapes, 2)
            if max(one.size, two.size) < 1.4 * min(one.size, two.size) or (one.kind, one.colour) == (
                two.kind,
                two.colour,
            ):
                continue
            plain = (
                one.kind != two.kind
                and len(matching(scene, one.kind, None)) == len(matching(scene, two.kind, None)) == 1
                and rng.random() < 0.6
            )
            if not plain and not (
                len(matching(scene, one.kind, one.colour)) == len(matching(scene, two.kind, two.colour)) == 1
            ):
                continue
            w1, w2 = (_words(s.kind, None if plain else s.colour, language, rng) for s in (one, two))
            big = one if one.size > two.size else two
            return (
                what,
                _fill(patterns, rng, chinese, w1=w1, w2=w2),
                f"The {name(big, 'en')} is larger." if not chinese else f"{name(big, 'zh')}更大。",
            )
        if what in ("largest", "smallest"):
            best = by_size(scene)[0 if what == "largest" else 1]
            if best is None:
                continue
            return (
                what,
                pick([patterns], rng, chinese),
                f"The {name(best, 'en')} is the {what}."
                if not chinese
                else f"{name(best, 'zh')}最{'大' if what == 'largest' else '小'}。",
            )
        if what == "at":
            place = rng.choice(scene.shapes).place if rng.random() < 0.8 else rng.randrange(9)
            here = [s for s in scene.ordered() if s.place == place]
            text = _fill(patterns, rng, chinese, w=pick(PLACE_WORDS[language][place], rng, chinese))
            return what, text, at_answer(here, place, language)
        colour = rng.choice(scene.shapes).colour
        here = matching(scene, None, colour)
        return (
            what,
            _fill(patterns, rng, chinese, w=rng.choice(COLOUR_WORDS[language][colour])),
            of_colour_answer(here, colour, language),
        )
    return "describe", pick(ASK["describe"][language], rng, chinese), describe(scene, language)


def at_answer(shapes: list[Shape], place: int, language: str) -> str:
    """What is in one cell of the grid."""
    if language == "en":
        if not shapes:
            return f"There is nothing {PLACE_EN[place]}."
        items = [_a(name(s, "en")) for s in shapes]
        return f"There is {items[0] if len(items) == 1 else ', '.join(items[:-1]) + ' and ' + items[-1]} {PLACE_EN[place]}."
    if not shapes:
        return f"{PLACE_ZH[place]}没有图形。"
    items = [name(s, "zh") for s in shapes]
    return f"{PLACE_ZH[place]}是{items[0] if len(items) == 1 else '、'.join(items[:-1]) + '和' + items[-1]}。"


def of_colour_answer(shapes: list[Shape], colour: str, language: str) -> str:
    """Which shapes have a colour."""
    if language == "en":
        items = [s.kind for s in shapes]
        return (
            f"The {items[0]} is {colour}."
            if len(items) == 1
            else f"{len(items)} shapes are {colour}: {listing(shapes, 'en')}."
        )
    return (
        f"{KIND_ZH[shapes[0].kind]}是{COLOUR_ZH[colour]}的。"
        if len(shapes) == 1
        else f"有 {len(shapes)} 个{COLOUR_ZH[colour]}的图形：{listing(shapes, 'zh')}。"
    )


def describe_two(one: Scene, two: Scene, language: str) -> str:
    """Both pictures, one after the other."""
    parts = []
    for scene, which in zip((one, two), FIRST[language], strict=True):
        shapes = scene.ordered()
        if language == "en":
            parts.append(f"The {which} picture shows {listing(shapes, 'en') if shapes else 'no shapes'}.")
        else:
            parts.append(f"{which}图：{listing(shapes, 'zh') if shapes else '没有图形'}。")
    return " ".join(parts) if language == "en" else "".join(parts)


def same(one: Scene, two: Scene) -> bool:
    """Whether two pictures show the same shapes, colours and places."""
    return [(s.kind, s.colour, s.place) for s in one.ordered()] == [(s.kind, s.colour, s.place) for s in two.ordered()]


def more_answer(first: int, second: int, kind: str | None, colour: str | None, language: str) -> str:
    """Which picture has more of them, with both numbers."""
    if language == "en":
        many = " ".join(w for w in (colour, _plural(kind or "shape")) if w)
        if first == second:
            return f"Both pictures have the same number of {many}: {first}."
        return f"The {FIRST['en'][first < second]} picture has more {many}: {max(first, second)}, and the other has {min(first, second)}."
    words = (COLOUR_ZH[colour] if colour else "") + (
        ("的图形" if colour else "图形") if kind is None else KIND_ZH[kind]
    )
    if first == second:
        return f"两张图的{words}一样多：{first} 个。"
    return f"{FIRST['zh'][first < second]}图的{words}更多：{max(first, second)} 个，另一张有 {min(first, second)} 个。"


def which_answer(first: bool, second: bool, kind: str, colour: str | None, language: str) -> str:
    """Which of two pictures shows it."""
    words = f"{colour} {kind}" if colour else kind
    zh = (COLOUR_ZH[colour] if colour else "") + KIND_ZH[kind]
    if first and second:
        return f"Both pictures show {_a(words)}." if language == "en" else f"两张图都有{zh}。"
    if not first and not second:
        return f"Neither picture shows {_a(words)}." if language == "en" else f"两张图都没有{zh}。"
    return (
        f"The {FIRST['en'][not first]} picture shows {_a(words)}."
        if language == "en"
        else f"{FIRST['zh'][not first]}图有{zh}。"
    )


def ask_two(one: Scene, two: Scene, language: str, rng: random.Random) -> tuple[str, str, str]:
    """A question about two pictures, and its answer."""
    chinese = language == "zh"
    what = rng.choices(list(ASK_TWO), (34, 22, 22, 12, 10))[0]
    pattern = rng.choice(ASK_TWO[what][language])
    if what == "both":
        return what, pick([pattern], rng, chinese), describe_two(one, two, language)
    if what == "more":
        k, c = (None, None) if rng.random() < 0.6 else _selections(one if rng.random() < 0.5 else two, rng)
        return (
            what,
            _fill(pattern, rng, chinese, w=_words(k, c, language, rng, True)),
            more_answer(len(matching(one, k, c)), len(matching(two, k, c)), k, c, language),
        )
    if what == "which":
        k, c = _selections(one if rng.random() < 0.5 else two, rng)
        k = k or rng.choice(KINDS)
        words = _words(k, c, language, rng)
        return (
            what,
            _fill(pattern, rng, chinese, s=_a(words), w=words),
            which_answer(bool(matching(one, k, c)), bool(matching(two, k, c)), k, c, language),
        )
    if what == "nth":
        i = rng.randrange(2)
        scene, word = (one, two)[i], FIRST[language][i]
        shapes = scene.ordered()
        if chinese:
            return (
                what,
                _fill(pattern, rng, True, o=word),
                f"{word}图：{listing(shapes, 'zh') if shapes else '没有图形'}。",
            )
        return (
            what,
            _fill(pattern, rng, False, o=word),
            f"The {word} picture shows {listing(shapes, 'en') if shapes else 'no shapes'}.",
        )
    if same(one, two):
        return (
            what,
            pick([pattern], rng, chinese),
            "Yes, both pictures show the same." if not chinese else "是的，两张图一样。",
        )
    return (
        what,
        pick([pattern], rng, chinese),
        "No, they are different. " + describe_two(one, two, "en")
        if not chinese
        else "不一样。" + describe_two(one, two, "zh"),
    )
