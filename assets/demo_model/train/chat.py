"""Talk about the model itself, small talk, and everything else, which gets the fallback."""

from __future__ import annotations

import json
import random
from pathlib import Path

from .explain import FRAMES, bare, kept_back
from .grammar import expand, pick

ANSWERS = {
    "fallback": {
        "en": "I am only a tiny demo model, so I can't answer that. I can describe pictures of simple shapes, explain LMDeploy, tell short stories, and call tools that add or multiply.",
        "zh": "我只是一个很小的演示模型，回答不了这个问题。我可以描述简单图形的图片、解释 LMDeploy、讲小故事，以及调用加法、乘法等工具。",
    },
    "itself": {
        "en": "I am the demo model of LMDeploy Console: about 15 million parameters, trained from nothing on generated data. I can describe pictures of simple shapes, explain LMDeploy, tell short stories, and call tools that add or multiply.",
        "zh": "我是 LMDeploy Console 的演示模型，约 1500 万参数，用生成的数据从零训练。我可以描述简单图形的图片、解释 LMDeploy、讲小故事，以及调用加法、乘法等工具。",
    },
    "hello": {
        "en": "Hello! I am the demo model. Send me a picture of simple shapes, ask me about LMDeploy, or ask for a short story.",
        "zh": "你好！我是演示模型。可以发给我简单图形的图片，问我 LMDeploy 的问题，或者让我讲个小故事。",
    },
    "thanks": {"en": "You're welcome!", "zh": "不客气！"},
    "bye": {"en": "Goodbye!", "zh": "再见！"},
    "no-picture": {
        "en": "I don't see a picture here. Please attach one with simple shapes, and ask again.",
        "zh": "这里没有图片。请附上一张简单图形的图片再问我。",
    },
    "no-tools": {
        "en": "I can't calculate by myself. Switch on the tools, and I will call add and mul for you.",
        "zh": "我自己不会计算。请打开工具，我会调用 add 和 mul 来算。",
    },
}

QUESTIONS = {
    "itself": {
        "en": [
            "who are you",
            "what are you",
            "what is your name",
            "what's your name",
            "{introduce|describe} yourself",
            "tell me {about|something about} yourself",
            "{what|which} model {are you|is this|am i talking to|answers here}",
            "are you {chatgpt|gpt-4|a robot|an ai|human|a real person|claude|internlm|qwen|deepseek|a big model|a language model}",
            "what can you do",
            "what are you {able to do|good at|capable of|for}",
            "how can you help me",
            "{what|which} things can i ask you",
            "how {big|large|small} are you",
            "how many parameters do you have",
            "who {made|trained|built|created} you",
            "how were you {made|trained}",
            "what were you trained on",
            "what {are your|is your} {abilities|skills|limits|purpose}",
            "what do you know",
            "help",
            "what {should|could} i ask you",
            "are you {smart|intelligent|clever}",
            "what is this model",
            "which languages do you speak",
            "do you speak {english|chinese}",
            "can you {help|help me}",
            "what is the demo model",
            "what kind of {model|ai|assistant|thing} are you",
            "{who|what} am i {talking|speaking|chatting|writing} {to|with}",
            "what {sort|kind|kinds|type} of {things|questions|tasks|work} {can you do|do you do|can you answer|do you know|are you made for|do you like}",
            "are you {a|some} {small|large|tiny|good|real} {language model|llm|model|neural network}",
            "what are your strengths",
            "{tell|show} me {who|what} you {are|can do}",
            "what do you {do|do best|do here}",
            "what is it that you can do",
            "say {something|a few words} about yourself",
            "which {abilities|skills|talents} do you have",
            "what am i talking to",
        ],
        "zh": [
            "你是谁",
            "你是什么",
            "你叫什么{名字|}",
            "{介绍|描述}一下你自己",
            "{做个|请}?自我介绍{一下|}",
            "你是{什么|哪个|哪种}模型",
            "你是{ChatGPT|GPT-4|机器人|人工智能|真人|人|通义千问|书生|大模型|DeepSeek|语言模型}吗",
            "你{会|能|可以}{做|干}{什么|些什么|啥}",
            "你有{什么|哪些}{能力|功能|本领|用处}",
            "你能帮我{做什么|什么忙|干嘛}",
            "我{能|可以}问你{什么|哪些问题}",
            "你有多{大|少参数|少个参数}",
            "谁{做|训练|开发|创造}了?{了|的}你",
            "你是{谁|怎么}{训练|做}{出来|}的",
            "你{懂|知道|擅长}{什么|些什么|啥}",
            "帮助",
            "你聪明吗",
            "这是什么模型",
            "你会说{中文|英文|英语}吗",
            "演示模型是什么",
            "你的{局限|用途|作用|本事|特长}是什么",
            "{我在|现在}{和|跟}谁{说话|聊天|对话}",
            "你{是|算}{不是|}{一个|}{大|小|}{语言模型|模型|神经网络}{吗|}",
            "{说说|讲讲|谈谈}{你自己|你是谁|你能做什么}",
            "你{都|}{会|能}{哪些|些什么|什么}{事|东西|}",
            "你是哪{位|个|种模型}",
            "你有什么{本事|特长|用}",
        ],
    },
    "hello": {
        "en": [
            "hi",
            "hello",
            "hey",
            "hello there",
            "hi there",
            "good {morning|evening|afternoon|day}",
            "hey there",
            "hello {model|friend|demo model}",
            "how are you[ today|doing]",
            "what's up",
            "greetings",
            "is {anybody|anyone} there",
            "test",
            "are you there",
            "nice to meet you",
        ],
        "zh": [
            "你好",
            "您好",
            "嗨",
            "哈喽",
            "早上好",
            "下午好",
            "晚上好",
            "你好啊",
            "你好呀",
            "在吗",
            "有人吗",
            "大家好",
            "最近怎么样",
            "测试",
            "很高兴认识你",
        ],
    },
    "thanks": {
        "en": [
            "thanks",
            "thank you",
            "thank you [very|so] much",
            "thanks a lot",
            "great, thanks",
            "good, thank you",
            "ok thanks",
            "cool, thanks",
            "well done",
            "great[ job]",
            "nice",
            "perfect",
            "ok",
            "got it",
            "that helps",
            "very good",
            "i see",
            "cool",
        ],
        "zh": [
            "谢谢",
            "谢谢你",
            "多谢",
            "非常感谢",
            "太好了，谢谢",
            "感谢",
            "好的，谢谢",
            "明白了",
            "好的",
            "知道了",
            "很好",
            "真棒",
            "太棒了",
            "不错",
            "懂了",
            "谢啦",
        ],
    },
    "bye": {
        "en": [
            "bye",
            "goodbye",
            "see you",
            "bye bye",
            "see you later",
            "good night",
            "have a nice day",
            "i have to go",
        ],
        "zh": ["再见", "拜拜", "回头见", "晚安", "下次见", "我走了", "先这样"],
    },
    "no-tools": {
        "en": [
            "{compute|calculate|what is|what's|work out|evaluate|how much is} {n}{+| + |*| * | plus | times | minus |-| / |×| x }{n}",
            "{what is|add|sum} {n} {and|plus} {n}",
            "multiply {n} {by|and|with} {n}",
            "({n}+{n})*{n}",
            "{n}+{n}=",
            "{n} times {n}",
            "compute ({n}+{n})*{n}",
            "what is the {sum|product} of {n} and {n}",
        ],
        "zh": [
            "{计算|算一下|求|帮我算}{n}{+|加|乘|×|*|减|-|加上|乘以}{n}",
            "{n}{加|乘以|乘|减|加上|除以}{n}{等于多少|是多少|等于几|得几}",
            "{n}和{n}的{和|积|乘积}是多少",
            "计算({n}+{n})*{n}",
            "({n}+{n})×{n}等于多少",
        ],
    },
    "no-picture": {
        "en": [
            "what {is|do you see} in the {picture|image|photo}",
            "describe the {picture|image}",
            "how many {circles|shapes|squares|stars|red circles|hearts} are {there|in the picture|in the image}",
            "what colo[u]r is the {circle|square|star|heart|cross|triangle|background}",
            "where is the {circle|star|square|heart|triangle|cross}[ in the picture]",
            "is there a {circle|star|heart|blue square|triangle} in the {picture|image}",
            "which {shape|one} is {larger|bigger|smaller}, the {circle|star} or the {square|heart}",
            "compare the two {pictures|images}",
            "what is on {this|the} {picture|image|drawing}",
        ],
        "zh": [
            "{这张|}?图片?里有什么",
            "描述{一下|}{这张|}{图片|图}",
            "{图里|图片里|图中|}有{几个|多少个}{圆|圆形|图形|正方形|星星|心形|三角形}",
            "{圆|圆形|正方形|星星|心形|十字|三角形|背景}是什么颜色",
            "{圆|圆形|星星|正方形|心形|三角形}在{哪里|哪儿|什么位置}",
            "{图里|图片里|图中}有{圆|星星|心形|三角形|蓝色的正方形}吗",
            "{圆形|星星}和{正方形|心形}哪个{更大|大|小}",
            "比较{这|}{两张|两幅}{图片|图}",
            "这{张|幅}{图|画}上?{是什么|有什么|画了什么}",
        ],
    },
}

_OUTSIDE = json.loads((Path(__file__).parent / "outside.json").read_text(encoding="utf-8"))
# Words and wordings of questions that this model can't answer: many topics, near and far; <key> stands for a word.
WORDS = {language: {k: v.split("|") for k, v in part["words"].items()} for language, part in _OUTSIDE.items()}
for _words in WORDS.values():
    _words["noun"] += _words["subject"]
OUTSIDE, GENERAL = ({language: part[kind] for language, part in _OUTSIDE.items()} for kind in ("patterns", "general"))


def outside(language: str, rng: random.Random) -> str:
    """A question that the model is not made for, none of the evaluation's."""
    while True:
        text = _outside(language, rng)
        if bare(text) not in kept_back():
            return text


def _outside(language: str, rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.3:  # asked as an explanation would be, but about something else
        frame = expand(rng.choice(FRAMES[language]).replace("{x}", "\0"), rng, language == "zh")
        noun = rng.choice(WORDS[language]["noun"])
        text = frame.replace("\0", rng.choice(("", "", "a ", "the ")) + noun if language == "en" else noun)
    else:
        text = pick((GENERAL if roll < 0.6 else OUTSIDE)[language], rng, language == "zh")
    for key, words in WORDS[language].items():
        while f"<{key}>" in text:
            text = text.replace(f"<{key}>", rng.choice(words), 1)
    return text


def question(kind: str, language: str, rng: random.Random) -> str:
    """A wording for one of ``QUESTIONS``; ``{n}`` becomes a number."""
    pattern = rng.choice(QUESTIONS[kind][language]).replace("{n}", "\0")
    text = expand(pattern, rng, language == "zh")
    while "\0" in text:
        text = text.replace("\0", str(rng.choice([rng.randint(0, 12), rng.randint(2, 99), rng.randint(10, 9999)])), 1)
    return text
