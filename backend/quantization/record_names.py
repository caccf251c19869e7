"""The names that training and evaluation data give to their fields, lower case. Pure."""

# A field that holds a whole text. It stands where the record has it.
WHOLE = (
    "text", "raw_content", "document", "article", "body", "markdown", "passage", "paragraph", "sentence", "code",
    "story", "page_content", "ctx", "caption", "headline", "文本", "正文", "内容", "內容", "全文", "文章", "段落",
    "句子", "原文",
)  # fmt: skip
# Conversations: lists of turns, as ShareGPT, OpenAI and their kin write them, or one text.
TURNS = (
    "messages", "conversations", "conversation", "dialog", "dialogue", "dialogs", "turns", "chat", "history", "texts",
    "对话", "對話", "历史",
)  # fmt: skip
_SYSTEM = ("system", "system_prompt", "系统", "系统提示", "系统提示词", "title", "标题", "標題")
_ASKED = (
    "instruction", "instructions", "指令", "指示", "context", "contexts", "上下文", "背景", "prompt", "提示", "提示词",
    "question", "问题", "問題", "提问", "问", "题目", "problem", "query", "q", "input", "inputs", "输入", "輸入",
    "human", "user", "choices", "options", "endings", "选项", "a", "b", "c", "d", "e",
)  # fmt: skip
_ANSWERED = (
    "reasoning", "reasoning_content", "thinking", "thought", "think", "chain_of_thought", "rationale", "思考",
    "思考过程", "content", "output", "outputs", "输出", "輸出", "answer", "answers", "答案", "回答", "答", "参考答案",
    "response", "responses", "回复", "回覆", "completion", "target", "targets", "solution", "assistant", "bot", "gpt",
    "moss", "chosen", "summary", "highlights", "摘要", "translation", "翻译", "译文",
    "abstract", "ground_truth", "best_answer", "canonical_solution", "explanation", "解析", "解释", "tool_calls",
    "function_call",
)  # fmt: skip
# Lists that go on with what the record itself begins: exams by passage, books, threads.
_INSIDE = ("paragraphs", "qas", "instances", "sections", "pages", "chapters", "comments", "replies")
# In the order in which they are read, whatever order the record has: what is asked stands before its answer.
ORDER = (*_SYSTEM, *TURNS, *_ASKED, *_ANSWERED)
PARTS = (*_SYSTEM, *_ASKED, *_ANSWERED)
KNOWN = frozenset((*WHOLE, *ORDER, *_INSIDE))
TITLES = frozenset(("title", "标题", "標題"))
# What a turn calls its text, and its speaker.
SAID = ("content", "value", "text", "message", "utterance", "parts", "content_parts")
SPEAKER = frozenset(("role", "from", "speaker", "author"))
# What tells the kind of a turn or of a part of one.
KINDS = SPEAKER | {"type", "content_type", "cell_type"}
# What may be written as JSON within a text.
PACKED = frozenset(
    (*TURNS, "choices", "options", "endings", "answers", "contexts", "translation", "tool_calls", "function_call")
)
# What wraps records: exports of datasets, of their viewers, of chat services.
WRAPPERS = frozenset(
    ("data", "train", "rows", "row", "examples", "instances", "records", "items", "samples", "dataset", "docs",
     "documents")
)  # fmt: skip
# No text of a sample, however long it is.
_NO_TEXT = frozenset(
    ("id", "ids", "uid", "uuid", "guid", "idx", "url", "urls", "uri", "link", "href", "image", "images", "image_url",
     "video", "audio", "path", "file", "file_name", "filename", "hash", "sha", "sha1", "sha256", "md5", "checksum",
     "label", "labels", "date", "timestamp", "created_at")
)  # fmt: skip
_NO_TEXT_ENDS = ("_id", "_ids", "_url", "_uri", "_path", "_hash", "-id")


def is_no_text(name: str) -> bool:
    """Whether what stands under the name is an id, an address, a label or an answer that was rejected."""
    return "reject" in name or name in _NO_TEXT or name.endswith(_NO_TEXT_ENDS)
