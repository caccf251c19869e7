"""More wordings that are never trained on: pictures, calculations, stories, the model itself."""

PICTURE: dict[str, dict[str, list[str]]] = {
    "describe": {
        "en": [
            "Please have a look at this and tell me what it shows.",
            "What can be made out here?",
            "Say what is to be seen in my sketch.",
            "What's going on in this image?",
        ],
        "zh": [
            "请看看这张图，里面都画了哪些东西？",
            "这幅图的内容请说一说",
            "麻烦描述下我画的东西",
            "图里面能看见什么？",
        ],
    },
    "count": {
        "en": [
            "Count for me: how many {w} does this have?",
            "Give me the number of {w} you can find.",
            "What's the total of {w} here?",
        ],
        "zh": ["请数出这里的{w}有几个", "{w}总共有多少？", "这张图上你能找到几个{w}？"],
    },
    "colour": {
        "en": [
            "Which colour has been used for the {w}?",
            "The {w} has what colour?",
            "Can you tell the colour of that {w}?",
        ],
        "zh": ["图上的{w}是哪种颜色呢？", "请说出{w}的颜色", "那{w}涂的是什么颜色？"],
    },
    "where": {
        "en": [
            "In which part of the image do you find the {w}?",
            "Whereabouts is the {w}?",
            "Tell me the place of the {w}.",
        ],
        "zh": ["{w}位于图的什么地方？", "请指出{w}在什么位置", "{w}在图片的哪一块？"],
    },
    "exists": {
        "en": ["Can you spot {a} anywhere?", "Would you say there is {a} in it?", "Have I drawn {a} here?"],
        "zh": ["你能找到{w}吗？", "这里面有没有{w}？", "图片上是不是有{w}？"],
    },
    "larger": {
        "en": ["Which one is bigger: the {w1} or the {w2}?", "Of the {w1} and the {w2}, which is the larger one?"],
        "zh": ["{w1}跟{w2}，哪个比较大？", "请比较{w1}和{w2}，谁更大？"],
    },
    "background": {
        "en": ["What colour did I use for the background?", "Behind the shapes, which colour is the background?"],
        "zh": ["图的背景用的是什么颜色？", "请问背景的颜色是？"],
    },
}
TWO = {
    "both": {
        "en": ["Please compare these two pictures for me.", "What do the two images show, and how do they differ?"],
        "zh": ["请比较一下这两张图片的不同", "这两张图分别画了什么，有什么区别？"],
    },
    "more": {
        "en": [
            "Which of the pictures has more {w}?",
            "Where do you count more {w}, in the first picture or the second?",
        ],
        "zh": ["这两张图里哪一张的{w}更多？", "请问哪张图片{w}比较多？"],
    },
    "which": {
        "en": ["On which of the two pictures is there {a}?", "Which of these images shows {a}?"],
        "zh": ["两张图里，哪张画了{w}？", "{w}出现在哪一张图里？"],
    },
}
ONE_STEP = {
    "add": {
        "en": [
            "Would you add {a} and {b} for me?",
            "I need the sum of {a} and {b}.",
            "How much do {a} and {b} make together?",
            "{a}+{b}, please",
        ],
        "zh": ["请把{a}与{b}相加", "{a}加{b}得多少呢", "我想知道{a}和{b}的和", "麻烦算算{a}+{b}"],
    },
    "mul": {
        "en": [
            "Would you multiply {a} by {b} for me?",
            "I need the product of {a} and {b}.",
            "{a} times {b} makes what?",
            "{a}*{b}, please",
        ],
        "zh": ["请把{a}与{b}相乘", "{a}乘{b}得多少呢", "我想知道{a}和{b}的乘积", "麻烦算算{a}*{b}"],
    },
}
TWO_STEPS = [  # pattern, then the two calls: operation, left, right; None is the first result
    ({"en": "Compute ({a}+{b})*{c}", "zh": "请计算一下 ({a}+{b})*{c}"}, (("add", "a", "b"), ("mul", None, "c"))),
    (
        {"en": "Could you tell me what {a}*({b}+{c}) is?", "zh": "{a}*({b}+{c}) 的结果是多少呢"},
        (("add", "b", "c"), ("mul", "a", None)),
    ),
    ({"en": "Work out {a}*{b}+{c} for me", "zh": "帮我求出 {a}*{b}+{c}"}, (("mul", "a", "b"), ("add", None, "c"))),
    (
        {"en": "Start with {a}, add {b}, and multiply that by {c}.", "zh": "{a}加上{b}以后再乘以{c}，得多少？"},
        (("add", "a", "b"), ("mul", None, "c")),
    ),
]
NAMED = {
    "en": ["Please call {f} with {a} and {b}.", "What does {f} give for {a} and {b}?"],
    "zh": ["请用{f}算一下{a}和{b}", "请调用{f}，参数是{a}和{b}"],
}
ITSELF = {
    "en": [
        "Say, who am I talking with?",
        "What sort of things are you good at?",
        "Are you a large language model?",
        "Tell me a bit about who you are.",
    ],
    "zh": ["请问你是哪位？", "你都会些什么呀", "你算是大模型吗", "能说说你自己吗"],
}
STORY = {
    "en": [
        "Please write a short story about {a} and {b}.",
        "I'd love a little story in which {a} meets {b}.",
        "A short story about {a} and {b}, please.",
    ],
    "zh": ["请写一个关于{a}和{b}的小故事", "给孩子讲一个{a}和{b}的故事吧", "来一段{a}与{b}的短故事"],
}
