"""Short stories about asked-for animals and things, put together from many parts."""

from __future__ import annotations

import random

from .grammar import expand, pick

ANIMALS = {
    "en": [
        "fox",
        "cat",
        "dog",
        "bear",
        "wolf",
        "rabbit",
        "mouse",
        "lion",
        "tiger",
        "elephant",
        "monkey",
        "panda",
        "owl",
        "crow",
        "duck",
        "goose",
        "hen",
        "frog",
        "turtle",
        "snail",
        "bee",
        "ant",
        "spider",
        "fish",
        "whale",
        "shark",
        "dolphin",
        "horse",
        "cow",
        "goat",
        "sheep",
        "pig",
        "donkey",
        "camel",
        "giraffe",
        "zebra",
        "kangaroo",
        "koala",
        "penguin",
        "seal",
        "otter",
        "beaver",
        "squirrel",
        "hedgehog",
        "badger",
        "deer",
        "moose",
        "bat",
        "parrot",
        "eagle",
        "swan",
        "peacock",
        "crocodile",
        "lizard",
        "snake",
        "dragon",
        "unicorn",
        "robot",
        "knight",
        "princess",
        "pirate",
        "wizard",
        "teacher",
        "student",
        "baker",
        "farmer",
        "astronaut",
    ],
    "zh": [
        "狐狸",
        "猫",
        "小猫",
        "狗",
        "小狗",
        "熊",
        "狼",
        "兔子",
        "老鼠",
        "狮子",
        "老虎",
        "大象",
        "猴子",
        "熊猫",
        "猫头鹰",
        "乌鸦",
        "鸭子",
        "鹅",
        "母鸡",
        "青蛙",
        "乌龟",
        "蜗牛",
        "蜜蜂",
        "蚂蚁",
        "蜘蛛",
        "鱼",
        "鲸鱼",
        "鲨鱼",
        "海豚",
        "马",
        "牛",
        "山羊",
        "绵羊",
        "小猪",
        "驴",
        "骆驼",
        "长颈鹿",
        "斑马",
        "袋鼠",
        "考拉",
        "企鹅",
        "海豹",
        "水獭",
        "河狸",
        "松鼠",
        "刺猬",
        "鹿",
        "蝙蝠",
        "鹦鹉",
        "老鹰",
        "天鹅",
        "孔雀",
        "鳄鱼",
        "蜥蜴",
        "蛇",
        "龙",
        "独角兽",
        "机器人",
        "骑士",
        "公主",
        "海盗",
        "巫师",
        "老师",
        "学生",
        "面包师",
        "农夫",
        "宇航员",
    ],
}
THINGS = {
    "en": [
        "watermelon",
        "apple",
        "pear",
        "cherry",
        "banana",
        "orange",
        "lemon",
        "grape",
        "strawberry",
        "pumpkin",
        "carrot",
        "potato",
        "mushroom",
        "cake",
        "cookie",
        "honey",
        "cheese",
        "balloon",
        "kite",
        "ball",
        "drum",
        "guitar",
        "piano",
        "book",
        "map",
        "key",
        "lamp",
        "clock",
        "umbrella",
        "hat",
        "boot",
        "scarf",
        "mirror",
        "ladder",
        "boat",
        "bicycle",
        "train",
        "rocket",
        "star",
        "stone",
        "shell",
        "feather",
        "flower",
        "tree",
        "bridge",
        "castle",
        "garden",
        "river",
        "mountain",
        "snowman",
        "window",
        "door",
        "bell",
        "basket",
        "teapot",
        "cup",
        "spoon",
        "pillow",
        "blanket",
        "button",
        "pencil",
        "telescope",
        "computer",
    ],
    "zh": [
        "西瓜",
        "苹果",
        "梨",
        "樱桃",
        "香蕉",
        "橙子",
        "柠檬",
        "葡萄",
        "草莓",
        "南瓜",
        "胡萝卜",
        "土豆",
        "蘑菇",
        "蛋糕",
        "饼干",
        "蜂蜜",
        "奶酪",
        "气球",
        "风筝",
        "皮球",
        "鼓",
        "吉他",
        "钢琴",
        "书",
        "地图",
        "钥匙",
        "台灯",
        "时钟",
        "雨伞",
        "帽子",
        "靴子",
        "围巾",
        "镜子",
        "梯子",
        "小船",
        "自行车",
        "火车",
        "火箭",
        "星星",
        "石头",
        "贝壳",
        "羽毛",
        "花",
        "大树",
        "小桥",
        "城堡",
        "花园",
        "小河",
        "高山",
        "雪人",
        "窗户",
        "门",
        "铃铛",
        "篮子",
        "茶壶",
        "杯子",
        "勺子",
        "枕头",
        "毯子",
        "纽扣",
        "铅笔",
        "望远镜",
        "电脑",
    ],
}
ASK = {
    "en": [
        "{tell|write|give|read|invent|make up} {me |us |}a {|short |little |small |nice |funny |bedtime |very short |brief |cute }{story|tale|fairy tale} {about|with|of} {w}",
        "{a|one} {|short |little |nice }{story|tale} {about|with} {w}{ please|}",
        "{can|could|would|will} you {tell|write} {me |}a {|short |little }story {about|with} {w}",
        "{i want|i'd like|i would like|i need} {to hear |to read |}a {|short |little }story {about|with} {w}",
        "story {about|of|with|:} {w}",
        "once upon a time {w}",
        "write {something|a few lines} about {w} as a story",
        "make a story {with|of|out of} {w}",
    ],
    "zh": [
        "{讲|写|说|编|来}{一个|个|}{|短|小|简短的|有趣的|睡前|好听的}{故事|童话}，{关于|主角是|讲的是|主人公是}{w}{的|}",
        "{给我|请|帮我|为我|}{讲|写|说|编}{一个|个|一段|}{关于|有关|}{w}的{|短|小|睡前|简短}{故事|童话}",
        "{我想|想|我要}{听|看}{一个|}{关于|}{w}的{|小|短}故事",
        "{能|可以|你能}{讲|写|说}{一个|个}{关于|}{w}的{故事|小故事}吗",
        "{w}的{故事|小故事|童话}",
        "用{w}{编|写}{一个|个}{故事|小故事}",
    ],
}
ASK_ANY = {
    "en": [
        "tell {me |us |}a {|short |nice |funny |little }story",
        "{write|i want|give me} a {|short |little }story",
        "{a|another|one more} story[ please]",
        "do you know a story",
        "can you tell me a {|short }story",
        "tell me something nice",
        "story time",
        "i'd like to hear a story",
    ],
    "zh": [
        "{讲|说|来|写}{一个|个}{|小|短|有趣的}故事{吧|}",
        "{给我|请}{讲|说|写}{一个|个}{|小|短}故事",
        "我{想|要}听{|小}故事",
        "{再|另外}{讲|来}一个{故事|}",
        "你会讲故事吗",
        "讲故事",
        "来个童话",
    ],
}
# <a> the first, <b> the second, <p> a place, <h> he or she of the story
PARTS = {
    "en": [
        [
            "Once upon a time <A> lived <p>.",
            "There was once <A> who lived <p>.",
            "Long ago, <A> made a home <p>.",
            "<p|cap>, there lived <A>.",
            "In a quiet spring, <A> came to live <p>.",
            "One <w> morning, <A> woke up <p>.",
        ],
        [
            "One day the <a> found <B>.",
            "One <w> day the <a> saw <B> lying in the grass.",
            "There the <a> met <B>, all alone.",
            "On a walk, the <a> came upon <B>.",
            "Somebody had left <B> by the road, and the <a> stopped.",
            "The <a> had always dreamed of <B>, and there it was.",
        ],
        [
            '"What can I do with it?" the <a> asked.',
            "It was much too big to carry.",
            "The <a> looked at it from all sides.",
            '"You look lonely," the <a> said softly.',
            "The <a> had never seen anything so <q>.",
            "The <a> sat down and thought for a long time.",
            "A strong wind came up, and the <b> began to roll.",
        ],
        [
            "So the <a> called all the neighbours for help.",
            "So the <a> pushed and pulled until evening.",
            "Then it began to rain, and the two kept each other dry.",
            "The <a> told the <b> a secret and laughed.",
            "The <a> ran after the <b>, over the hill and through the stream.",
            "An old owl gave good advice: share it.",
            "The <a> painted the <b> in bright colours.",
        ],
        [
            "From that day on, the <a> and the <b> were never apart.",
            "In the end everyone shared the <b>, and nobody was hungry.",
            "And when the stars came out, the <a> fell asleep beside the <b>.",
            "The <a> learned that sharing makes everything better.",
            "They are still there today, and still happy.",
            "And that is how the <a> became the happiest in the land.",
        ],
    ],
    "zh": [
        [
            "从前，<p>住着一只叫阿<n>的<a>。",
            "很久以前，<a>在<p>安了家。",
            "<p>，有一个快乐的<a>。",
            "一个<w>的早晨，<a>在<p>醒来。",
            "春天来了，<a>搬到了<p>。",
        ],
        [
            "有一天，<a>发现了<b>。",
            "<w>的一天，<a>在草地上看见了<b>。",
            "散步的时候，<a>遇到了<b>。",
            "<a>一直梦想着<b>，没想到它就在眼前。",
            "不知是谁把<b>留在路边，<a>停下了脚步。",
        ],
        [
            "“我能用它做什么呢？”<a>想。",
            "它太大了，根本搬不动。",
            "<a>围着它看了又看。",
            "“你看起来好孤单。”<a>轻轻地说。",
            "<a>从没见过这么<q>的东西。",
            "一阵大风吹来，<b>滚了起来。",
            "<a>坐下来想了很久。",
        ],
        [
            "于是<a>叫来了所有的邻居帮忙。",
            "<a>又推又拉，一直忙到傍晚。",
            "忽然下起了雨，它们一起躲雨。",
            "<a>追着<b>，翻过小山，跨过小溪。",
            "一只老猫头鹰说：“分享才是最好的。”",
            "<a>给<b>涂上了鲜艳的颜色。",
            "<a>对<b>说了一个秘密，笑了起来。",
        ],
        [
            "从此，<a>和<b>再也没有分开。",
            "最后大家一起分享了<b>，谁也没有饿肚子。",
            "星星出来了，<a>在<b>旁边睡着了。",
            "<a>明白了：分享让一切更美好。",
            "直到今天，它们还在那里，快快乐乐。",
            "就这样，<a>成了最幸福的<a>。",
        ],
    ],
}
FILL = {
    "en": {
        "p": [
            "in a small forest",
            "by a blue lake",
            "on a green hill",
            "at the edge of a village",
            "in an old mill",
            "under a tall oak",
            "near the sea",
            "in a busy town",
        ],
        "w": ["sunny", "rainy", "cold", "windy", "warm", "bright"],
        "q": ["beautiful", "strange", "round", "shiny", "wonderful"],
    },
    "zh": {
        "p": ["小森林里", "蓝色的湖边", "绿色的山坡上", "村子旁边", "老磨坊里", "大橡树下", "大海边", "热闹的小镇上"],
        "w": ["晴朗", "下雨", "寒冷", "刮风", "温暖"],
        "q": ["漂亮", "奇怪", "圆", "闪亮", "神奇"],
        "n": ["福", "宝", "乐", "明"],
    },
}


def article(noun: str) -> str:
    """``noun`` with its indefinite article."""
    return ("an " if noun[0] in "aeiou" and noun != "unicorn" else "a ") + noun


def tell(first: str, second: str, language: str, rng: random.Random) -> str:
    """A story of five sentences about ``first`` and ``second`` (nouns)."""
    out = []
    for choices in PARTS[language]:
        text = rng.choice(choices)
        place = rng.choice(FILL[language]["p"])
        text = text.replace("<p|cap>", place[:1].upper() + place[1:]).replace("<p>", place)
        for key in ("w", "q", "n"):
            if f"<{key}>" in text:
                text = text.replace(f"<{key}>", rng.choice(FILL[language][key]))
        if language == "en":
            text = text.replace("<A>", article(first)).replace("<B>", article(second))
        out.append(text.replace("<a>", first).replace("<b>", second))
    return " ".join(out) if language == "en" else "".join(out)


def request(language: str, rng: random.Random) -> tuple[str, str]:
    """A wish for a story and a story that grants it."""
    first, second = (
        rng.choice(ANIMALS[language]),
        rng.choice(THINGS[language] if rng.random() < 0.75 else ANIMALS[language]),
    )
    if first == second:
        second = rng.choice(THINGS[language])
    if rng.random() < 0.12:
        return pick(ASK_ANY[language], rng, language == "zh"), tell(first, second, language, rng)
    if language == "en":
        names = [article(first), article(second)] if rng.random() < 0.75 else [first, second]
        words = rng.choice([" and ", " and ", " and ", ", ", " with ", " & ", " who meets ", " that finds "]).join(
            names
        )
        if rng.random() < 0.2:
            words = names[0]
    else:
        mark = rng.random() < 0.3
        names = [("一只" + first) if mark else first, second]
        words = rng.choice(["和", "和", "和", "与", "跟", "、"]).join(names)
        if rng.random() < 0.2:
            words = names[0]
    if rng.random() < 0.1:  # the second one first: a thing that comes before its animal
        words = words.replace(first, "\0").replace(second, first).replace("\0", second)
        if language == "en":
            words = (
                words.replace("a " + second, article(second))
                .replace("an " + second, article(second))
                .replace("a " + first, article(first))
                .replace("an " + first, article(first))
            )
        first, second = second, first
    text = expand(rng.choice(ASK[language]).replace("{w}", "\0"), rng, language == "zh").replace("\0", words)
    return text, tell(first, second, language, rng)
