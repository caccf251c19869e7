"""Talk about the model itself, small talk, and everything else, which gets the fallback."""

from __future__ import annotations

import random

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
        "en": ["who are you", "what are you", "what is your name", "what's your name", "{introduce|describe} yourself", "tell me {about|something about} yourself",
               "{what|which} model {are you|is this|am i talking to|answers here}", "are you {chatgpt|gpt-4|a robot|an ai|human|a real person|claude|internlm|qwen|deepseek|a big model|a language model}",
               "what can you do", "what are you {able to do|good at|capable of|for}", "how can you help me", "{what|which} things can i ask you",
               "how {big|large|small} are you", "how many parameters do you have", "who {made|trained|built|created} you", "how were you {made|trained}", "what were you trained on",
               "what {are your|is your} {abilities|skills|limits|purpose}", "what do you know", "help", "what {should|could} i ask you", "are you {smart|intelligent|clever}", "what is this model", "which languages do you speak",
               "do you speak {english|chinese}", "can you {help|help me}", "what is the demo model", "what kind of {model|ai|assistant|thing} are you", "{who|what} am i {talking|speaking|chatting|writing} {to|with}", "what {sort|kind|kinds|type} of {things|questions|tasks|work} {can you do|do you do|can you answer|do you know|are you made for|do you like}", "are you {a|some} {small|large|tiny|good|real} {language model|llm|model|neural network}", "what are your strengths", "{tell|show} me {who|what} you {are|can do}", "what do you {do|do best|do here}", "what is it that you can do", "say {something|a few words} about yourself", "which {abilities|skills|talents} do you have", "what am i talking to"],
        "zh": ["你是谁", "你是什么", "你叫什么{名字|}", "{介绍|描述}一下你自己", "{做个|请}?自我介绍{一下|}", "你是{什么|哪个|哪种}模型", "你是{ChatGPT|GPT-4|机器人|人工智能|真人|人|通义千问|书生|大模型|DeepSeek|语言模型}吗",
               "你{会|能|可以}{做|干}{什么|些什么|啥}", "你有{什么|哪些}{能力|功能|本领|用处}", "你能帮我{做什么|什么忙|干嘛}", "我{能|可以}问你{什么|哪些问题}", "你有多{大|少参数|少个参数}", "谁{做|训练|开发|创造}了?{了|的}你", "你是{谁|怎么}{训练|做}{出来|}的",
               "你{懂|知道|擅长}{什么|些什么|啥}", "帮助", "你聪明吗", "这是什么模型", "你会说{中文|英文|英语}吗", "演示模型是什么", "你的{局限|用途|作用|本事|特长}是什么", "{我在|现在}{和|跟}谁{说话|聊天|对话}", "你{是|算}{不是|}{一个|}{大|小|}{语言模型|模型|神经网络}{吗|}", "{说说|讲讲|谈谈}{你自己|你是谁|你能做什么}", "你{都|}{会|能}{哪些|些什么|什么}{事|东西|}", "你是哪{位|个|种模型}", "你有什么{本事|特长|用}"],
    },
    "hello": {
        "en": ["hi", "hello", "hey", "hello there", "hi there", "good {morning|evening|afternoon|day}", "hey there", "hello {model|friend|demo model}", "how are you[ today|doing]", "what's up", "greetings", "is {anybody|anyone} there", "test", "are you there", "nice to meet you"],
        "zh": ["你好", "您好", "嗨", "哈喽", "早上好", "下午好", "晚上好", "你好啊", "你好呀", "在吗", "有人吗", "大家好", "最近怎么样", "测试", "很高兴认识你"],
    },
    "thanks": {
        "en": ["thanks", "thank you", "thank you [very|so] much", "thanks a lot", "great, thanks", "good, thank you", "ok thanks", "cool, thanks", "well done", "great[ job]", "nice", "perfect", "ok", "got it", "that helps", "very good", "i see", "cool"],
        "zh": ["谢谢", "谢谢你", "多谢", "非常感谢", "太好了，谢谢", "感谢", "好的，谢谢", "明白了", "好的", "知道了", "很好", "真棒", "太棒了", "不错", "懂了", "谢啦"],
    },
    "bye": {
        "en": ["bye", "goodbye", "see you", "bye bye", "see you later", "good night", "have a nice day", "i have to go"],
        "zh": ["再见", "拜拜", "回头见", "晚安", "下次见", "我走了", "先这样"],
    },
    "no-tools": {
        "en": ["{compute|calculate|what is|what's|work out|evaluate|how much is} {n}{+| + |*| * | plus | times | minus |-| / |×| x }{n}", "{what is|add|sum} {n} {and|plus} {n}", "multiply {n} {by|and|with} {n}", "({n}+{n})*{n}", "{n}+{n}=", "{n} times {n}", "compute ({n}+{n})*{n}", "what is the {sum|product} of {n} and {n}"],
        "zh": ["{计算|算一下|求|帮我算}{n}{+|加|乘|×|*|减|-|加上|乘以}{n}", "{n}{加|乘以|乘|减|加上|除以}{n}{等于多少|是多少|等于几|得几}", "{n}和{n}的{和|积|乘积}是多少", "计算({n}+{n})*{n}", "({n}+{n})×{n}等于多少"],
    },
    "no-picture": {
        "en": ["what {is|do you see} in the {picture|image|photo}", "describe the {picture|image}", "how many {circles|shapes|squares|stars|red circles|hearts} are {there|in the picture|in the image}", "what colo[u]r is the {circle|square|star|heart|cross|triangle|background}",
               "where is the {circle|star|square|heart|triangle|cross}[ in the picture]", "is there a {circle|star|heart|blue square|triangle} in the {picture|image}", "which {shape|one} is {larger|bigger|smaller}, the {circle|star} or the {square|heart}", "compare the two {pictures|images}", "what is on {this|the} {picture|image|drawing}"],
        "zh": ["{这张|}?图片?里有什么", "描述{一下|}{这张|}{图片|图}", "{图里|图片里|图中|}有{几个|多少个}{圆|圆形|图形|正方形|星星|心形|三角形}", "{圆|圆形|正方形|星星|心形|十字|三角形|背景}是什么颜色", "{圆|圆形|星星|正方形|心形|三角形}在{哪里|哪儿|什么位置}",
               "{图里|图片里|图中}有{圆|星星|心形|三角形|蓝色的正方形}吗", "{圆形|星星}和{正方形|心形}哪个{更大|大|小}", "比较{这|}{两张|两幅}{图片|图}", "这{张|幅}{图|画}上?{是什么|有什么|画了什么}"],
    },
}

# Words for the questions that this model can't answer: many topics, near and far.
_EN = {
    "person": "Einstein|Newton|Mozart|Shakespeare|Napoleon|Obama|Taylor Swift|Marie Curie|Confucius|Darwin|Bach|Picasso|Elon Musk|Messi|Cleopatra|Galileo|Turing|Gandhi|Da Vinci|Beethoven|the king of Spain|Bill Gates|Aristotle|Lu Xun|Harry Potter|Van Gogh|Tesla|Plato|Li Bai|Ronaldo",
    "place": "France|Germany|Japan|Brazil|Canada|Egypt|Italy|Kenya|Norway|Peru|India|Spain|Paris|Berlin|Tokyo|Beijing|Shanghai|London|Rome|New York|Africa|Australia|Mexico|Turkey|the moon|Mars|Iceland|Chile|Sweden|Greece|Vietnam|Portugal|Hong Kong|Poland|Hangzhou|Moscow|Texas|Thailand|Cuba|Finland",
    "subject": "quantum mechanics|photosynthesis|gravity|democracy|inflation|the French revolution|black holes|DNA|evolution|the stock market|bitcoin|blockchain|climate change|volcanoes|the Roman empire|music theory|chess|poker|football|basketball|yoga|the human brain|the heart|vaccines|cancer|diabetes|vitamins|electricity|magnetism|relativity|plate tectonics|dinosaurs|the pyramids|world war two|calculus|linear algebra|probability|prime numbers|graph theory|the Fourier transform|differential equations|economics|marketing|philosophy|religion|psychology|love|happiness|death|sleep|dreams|cooking|coffee|wine|cheese|the internet|email|wifi|bluetooth|5G|HTTP|TCP|DNS|HTML|CSS|JavaScript|Java|Rust|C++|Go|SQL|databases|operating systems|Linux|Windows|Git|Docker|Kubernetes|recursion|sorting algorithms|binary trees|hash tables|linked lists|neural networks|reinforcement learning|gradient descent|backpropagation|convolutional networks|decision trees|support vector machines|k-means|GANs|diffusion models|word2vec|LSTM|transformers in electricity|RAG|LoRA|fine-tuning|RLHF|prompt engineering|agents|vector databases|LangChain|vLLM|ollama|llama.cpp|MoE|distillation|pruning|overfitting|dropout|batch normalization|the Turing test|supercomputers|FPGA|the CPU cache|hard disks|SSD|monitors|keyboards|printers|cars|airplanes|trains|bridges|nuclear power|solar panels|batteries",
    "thing": "a cake|soup|pizza|bread|a website|a poem|an essay|a letter|a song|a joke|a riddle|a recipe|a business plan|a cover letter|an email to my boss|a speech|a love letter|a report|a CV|a password|a limerick|a haiku|a tweet|a movie script|homework|a birthday card|dumplings|noodles|tea|a paper plane|a bookshelf|a garden|a budget|a game|an app|a robot|a kite",
    "code": "sort a list|reverse a string|find prime numbers|open a file|read a csv|draw a plot|connect to a database|download a web page|compute fibonacci numbers|parse json|train a classifier|make a snake game|count words|merge two dictionaries|send an email|rename files|scrape a website|build a calculator|check a palindrome",
    "lang": "Python|Java|C++|JavaScript|Rust|Go|SQL|bash|R|Matlab|PHP|Swift|Kotlin|Haskell",
    "tongue": "French|German|Spanish|Italian|Japanese|Korean|Russian|Latin|Arabic|Portuguese|Dutch|Greek",
    "word": "house|apple|water|dog|freedom|tomorrow|good night|I love you|computer|thank you|friend|school|happiness|tree|mountain",
    "day": "today|tomorrow|this weekend|next week|on Monday|tonight|in July|this afternoon",
    "sport": "the world cup|the champions league|the olympics|wimbledon|the super bowl|the match yesterday|the chess championship|the tour de france",
    "shop": "phone|laptop|car|bicycle|camera|book|restaurant|hotel|movie|song|dog breed|graphics card|headphone|watch|tv series|university|bank|insurance|shampoo",
    "feel": "sad|tired|bored|happy|lonely|angry|ill|hungry|nervous|in love|stressed|sick|cold|confused",
}
_ZH = {
    "person": "爱因斯坦|牛顿|莫扎特|莎士比亚|拿破仑|李白|杜甫|孔子|鲁迅|秦始皇|马斯克|梅西|周杰伦|达尔文|居里夫人|图灵|毕加索|贝多芬|诸葛亮|姚明|曹操|苏轼|比尔盖茨|哈利波特|孙悟空|武则天",
    "place": "法国|德国|日本|巴西|加拿大|埃及|意大利|印度|西班牙|巴黎|柏林|东京|北京|上海|伦敦|罗马|纽约|非洲|澳大利亚|墨西哥|月球|火星|杭州|成都|西藏|泰国|韩国|美国|俄罗斯|广州|云南|海南|越南|英国",
    "subject": "量子力学|光合作用|万有引力|民主|通货膨胀|法国大革命|黑洞|DNA|进化论|股票市场|比特币|区块链|气候变化|火山|罗马帝国|乐理|围棋|足球|篮球|瑜伽|大脑|心脏|疫苗|癌症|糖尿病|维生素|电|磁场|相对论|恐龙|金字塔|二战|微积分|线性代数|概率论|质数|图论|傅里叶变换|微分方程|经济学|市场营销|哲学|宗教|心理学|爱情|幸福|死亡|睡眠|梦|做饭|咖啡|红酒|互联网|电子邮件|蓝牙|5G|TCP|DNS|HTML|JavaScript|Java|Rust|数据库|操作系统|Linux|Windows|Git|Docker|Kubernetes|递归|排序算法|二叉树|哈希表|链表|神经网络|强化学习|梯度下降|反向传播|卷积网络|决策树|支持向量机|生成对抗网络|扩散模型|词向量|LSTM|RAG|LoRA|微调|提示工程|智能体|向量数据库|LangChain|vLLM|ollama|混合专家|知识蒸馏|剪枝|过拟合|图灵测试|超级计算机|硬盘|显示器|键盘|打印机|汽车|飞机|高铁|核能|太阳能|电池|中医|太极拳|唐诗|京剧|春节|中秋节|书法",
    "thing": "蛋糕|汤|披萨|面包|网站|一首诗|一篇作文|一封信|一首歌|一个笑话|一个谜语|菜谱|商业计划|求职信|演讲稿|情书|报告|简历|生日贺卡|饺子|面条|茶|纸飞机|书架|预算|游戏|小程序|红烧肉|对联|日记|剧本|俳句|火锅",
    "code": "排序列表|反转字符串|找质数|打开文件|读取 csv|画图|连接数据库|下载网页|计算斐波那契数列|解析 json|训练分类器|做贪吃蛇游戏|统计词频|发送邮件|批量重命名文件|写爬虫|做计算器",
    "lang": "Python|Java|C++|JavaScript|Rust|Go|SQL|C语言|R|PHP",
    "tongue": "法语|德语|西班牙语|日语|韩语|俄语|拉丁语|阿拉伯语|意大利语|粤语",
    "word": "房子|苹果|水|狗|自由|明天|晚安|我爱你|电脑|谢谢|朋友|学校|幸福|树|山",
    "day": "今天|明天|这个周末|下周|周一|今晚|七月|后天|昨天",
    "sport": "世界杯|欧冠|奥运会|昨天的比赛|NBA 总决赛|乒乓球世锦赛|围棋比赛",
    "shop": "手机|电脑|汽车|自行车|相机|书|餐馆|酒店|电影|歌|狗|显卡|耳机|手表|电视剧|大学|银行|保险|洗发水",
    "feel": "难过|累|无聊|开心|孤独|生气|生病了|饿|紧张|恋爱了|压力大|冷|困|迷茫",
}
_NOUNS_EN = "apple|pear|bread|butter|soup|salad|rice|pasta|sugar|salt|egg|milk|tea|beer|kitchen|oven|knife|plate|bottle|table|chair|sofa|carpet|lamp|mirror|window|roof|wall|door|garage|stairs|flower|tree|grass|forest|river|lake|ocean|island|desert|mountain|valley|cave|storm|rain|snow|thunder|cloud|sun|star|comet|galaxy|planet|rocket|satellite|telescope|microscope|atom|molecule|acid|metal|gold|silver|iron|copper|plastic|glass|wood|stone|brick|cement|engine|wheel|brake|tyre|gear|clutch|bicycle|motorbike|truck|bus|tram|ship|boat|ferry|submarine|helicopter|balloon|airport|station|ticket|passport|visa|luggage|hotel|beach|museum|theatre|cinema|concert|guitar|piano|violin|drum|flute|opera|ballet|painting|sculpture|poem|novel|comic|newspaper|magazine|library|school|teacher|exam|diploma|university|professor|lawyer|judge|police|prison|doctor|nurse|hospital|medicine|fever|cough|allergy|tooth|bone|muscle|skin|blood|lung|liver|stomach|brain|eye|ear|nose|hand|foot|hair|dog|cat|horse|cow|pig|sheep|goat|chicken|duck|bee|ant|spider|snake|frog|shark|whale|dolphin|eagle|owl|lion|tiger|bear|wolf|fox|rabbit|mouse|elephant|giraffe|monkey|king|queen|castle|sword|war|peace|treaty|election|parliament|tax|bank|loan|mortgage|salary|pension|insurance|contract|company|factory|market|shop|price|coin|dollar|euro|football|tennis|golf|hockey|boxing|swimming|running|skiing|marathon|trophy|baby|child|parent|uncle|wedding|birthday|holiday|festival|gift|toy|doll|puzzle|dice|card|radio|television|phone|camera|printer|scanner|keyboard|mouse pad|monitor|browser|email|spam|virus|firewall|password|router|modem|spreadsheet|compiler|debugger|algorithm|database|website|blog|podcast|video|photo|emoji|font|alphabet|grammar|verb|comma|dialect|proverb|myth|legend|ghost|dragon|angel|temple|church|mosque|monk|philosophy|logic|ethics|equation|triangle inequality|integral|matrix|vector|prime|fraction|percent|circle area|volume|speed|force|energy|pressure|temperature of the sun|frequency|voltage|current|resistor|transistor|laser|magnet|mirror neuron|gene|cell|protein|enzyme|bacteria|fungus|moss|fern|rose|tulip|oak|bamboo|cactus|tomato|onion|garlic|pepper|chili|cinnamon|vanilla|chocolate|honey|jam|cheese|yogurt|steak|sausage|shrimp|tuna|salmon|sushi|taco|burger|pancake|waffle|donut|cereal|oatmeal|diet|vitamin|protein shake|gym|yoga|sleep|dream|memory|fear|anger|joy|love|friendship|hobby|knitting|sewing|gardening|fishing|hiking|camping|tent|backpack|compass|map|flag|anthem|currency|border|bridge|tunnel|tower|skyscraper|elevator|parking lot|traffic light|roundabout|highway"
_NOUNS_ZH = "苹果|梨|面包|黄油|汤|沙拉|米饭|面条|糖|盐|鸡蛋|牛奶|茶|啤酒|厨房|烤箱|刀|盘子|瓶子|桌子|椅子|沙发|地毯|台灯|镜子|窗户|屋顶|墙|门|车库|楼梯|花|树|草|森林|河|湖|海洋|岛|沙漠|山|山谷|洞穴|暴风雨|雨|雪|雷|云|太阳|星星|彗星|银河|行星|火箭|卫星|望远镜|显微镜|原子|分子|酸|金属|黄金|银|铁|铜|塑料|玻璃|木头|石头|砖|水泥|发动机|轮子|刹车|轮胎|自行车|摩托车|卡车|公交车|轮船|潜艇|直升机|机场|车站|车票|护照|签证|行李|酒店|海滩|博物馆|剧院|电影院|音乐会|吉他|钢琴|小提琴|鼓|歌剧|芭蕾|油画|雕塑|诗|小说|漫画|报纸|杂志|图书馆|学校|考试|文凭|教授|律师|法官|警察|监狱|医生|护士|医院|药|发烧|咳嗽|过敏|牙齿|骨头|肌肉|皮肤|血液|肺|肝|胃|眼睛|耳朵|鼻子|手|脚|头发|马|牛|猪|羊|鸡|鸭|蜜蜂|蚂蚁|蜘蛛|蛇|青蛙|鲨鱼|鲸鱼|海豚|老鹰|狮子|老虎|熊|狼|狐狸|兔子|大象|长颈鹿|猴子|国王|女王|城堡|剑|战争|和平|条约|选举|议会|税|贷款|房贷|工资|养老金|合同|公司|工厂|市场|商店|价格|硬币|美元|欧元|网球|高尔夫|拳击|游泳|跑步|滑雪|马拉松|奖杯|婴儿|孩子|父母|叔叔|婚礼|生日|假期|节日|礼物|玩具|拼图|骰子|扑克|收音机|电视|手机|相机|扫描仪|浏览器|邮件|垃圾邮件|病毒|防火墙|路由器|表格|编译器|调试器|算法|网站|博客|播客|视频|照片|表情|字体|字母|语法|动词|逗号|方言|谚语|神话|传说|鬼|天使|寺庙|教堂|和尚|逻辑|伦理|方程|积分|矩阵|向量|分数|百分比|面积|体积|速度|力|能量|压力|频率|电压|电流|电阻|晶体管|激光|磁铁|基因|细胞|蛋白质|酶|细菌|真菌|玫瑰|郁金香|橡树|竹子|仙人掌|西红柿|洋葱|大蒜|辣椒|巧克力|果酱|酸奶|牛排|香肠|虾|三文鱼|寿司|汉堡|煎饼|甜甜圈|燕麦|健身房|记忆|恐惧|愤怒|友谊|爱好|编织|园艺|钓鱼|徒步|露营|帐篷|背包|指南针|地图|国旗|国歌|边境|大桥|隧道|高塔|摩天楼|电梯|停车场|红绿灯|高速公路|户口|社保|公积金|股票|基金|彩票|房价|外卖|快递|打车|地铁|高考|考研|论文|实习|简历|面试|相亲|结婚|离婚|怀孕|育儿|幼儿园|宠物|装修|家具|空调|洗衣机|微波炉|吸尘器|口红|面膜|香水|发型|减肥|感冒|失眠|近视|腰疼|针灸|中药|火锅|烧烤|奶茶|月饼|粽子|汤圆|豆腐|酱油|醋|麻将|象棋|书法|国画|二胡|古筝|相声|武侠小说|三国|西游记|水浒传|红楼梦|唐朝|宋朝|清朝|长城|故宫|兵马俑|黄河|长江|泰山|黄山|西湖"
_EN |= {"noun": _NOUNS_EN + "|" + _EN["subject"], "verb": "make|clean|repair|buy|sell|paint|grow|cook|bake|draw|learn|teach|play|train|measure|build|remove|open|close|wash|cut|choose|find|lose|save|use|catch|store|move|carry|plant|feed|heat|cool|dry|freeze|break|fix|write|read|print|send|install|delete|update|translate|compare|invest in|get rid of|take care of|prepare for|talk about|win|design|change|stop|start|avoid|improve",
        "adj": "good|bad|big|small|red|blue|green|white|black|expensive|cheap|dangerous|healthy|popular|old|new|fast|slow|heavy|light|round|hot|cold|sweet|sour|loud|quiet|famous|rare|useful|beautiful|strong|weak|difficult|easy|important|legal|true|funny|sad", "attr": "price|colour|size|weight|age|taste|history|origin|name|number|inventor|meaning|smell|speed|height|symbol|formula|plural|capital|author|owner|temperature|length|boiling point|density|lifespan|population|recipe|cause|rule|plot"}
_ZH |= {"noun": _NOUNS_ZH + "|" + _ZH["subject"], "verb": "做|洗|修|买|卖|画|种|煮|烤|学|教|玩|训练|测量|盖|拆|打开|关上|切|选|找|存|搬|养|加热|冷却|弄干|冷冻|写|读|打印|寄|安装|删除|更新|翻译|投资|处理|照顾|准备|设计|改变|停止|避免|改善|保存|清理|挑选|使用|办理|申请|治疗",
        "adj": "好|贵|便宜|危险|健康|流行|古老|快|慢|重|轻|圆|热|冷|甜|酸|有名|罕见|有用|漂亮|结实|难|容易|重要|合法|真实|好吃|好看", "attr": "价格|颜色|大小|重量|年龄|味道|历史|来源|名字|数量|发明者|含义|气味|速度|高度|符号|公式|作者|主人|温度|长度|沸点|密度|寿命|人口|做法|原因|规则|故事|用途|种类"}
WORDS = {"en": {k: v.split("|") for k, v in _EN.items()}, "zh": {k: v.split("|") for k, v in _ZH.items()}}

OUTSIDE = {
    "en": ["what is the {capital|population|flag|currency|history|president|area|language|biggest city|food} of <place>", "where is <place>", "how {far is it|do i get} to <place>", "what is the weather {like|} <day>[ in <place>]", "will it {rain|snow|be sunny} <day>[ in <place>]",
           "who {is|was} <person>", "when was <person> born", "what did <person> {do|write|invent|discover|say}", "how {old|tall|rich} is <person>", "tell me about <person>", "who {won|will win} <sport>", "who is the {president|prime minister|mayor|king} of <place>",
           "{what is|explain|what's|tell me about|how does|teach me|define|can you explain|what do you know about|describe|give me an introduction to|i want to learn|meaning of} <subject>", "<subject>", "what is the difference between <subject> and <subject>", "is <subject> {dangerous|useful|hard|real|important}", "why is <subject> {important|hard|so popular}", "{history|advantages|disadvantages|inventor|future} of <subject>",
           "write {me |}<thing>[ about <subject>|for <person>]", "how {do i|to|can i} {make|write|build} <thing>", "give me <thing>", "help me with <thing>", "how {do i|to|can i} <code> in <lang>", "write a {program|function|script} {to|that can} <code>[ in <lang>]", "{code|example} to <code>", "fix my <lang> code", "what is <lang>", "is <lang> better than <lang>",
           "translate <word> {to|into} <tongue>", "how do you say <word> in <tongue>", "what does <word> mean in <tongue>", "say something in <tongue>", "what time is it[ in <place>]", "what day is <day>", "what's the date", "how many days until <day>",
           "{which|what} <shop> should i buy", "recommend {a|me a} <shop>", "what is the best <shop>", "what is your favo[u]rite {color|food|movie|song|book|animal|<shop>}", "i am <feel>", "i feel <feel> <day>", "what should i {eat|do|wear|watch|read} <day>", "do you {like|love|hate|know} <person>", "do you have {feelings|a body|friends|children|a job|a mother|hobbies}",
           "what is the meaning of life", "does god exist", "are there aliens", "how old is the {earth|universe|sun}", "how {tall|high|deep} is {mount everest|the ocean|the eiffel tower|the moon}", "why is the sky blue", "how many {people|planets|bones|stars|countries|animals} are there", "what is the speed of {light|sound}", "who invented the {telephone|light bulb|wheel|internet|computer}",
           "is it safe to {eat mushrooms|drink the water|take aspirin|swim}", "my {head|back|tooth|stomach|leg} hurts", "how much does {a house|a car|an h100|bread|gold|it} cost", "what is the {news|stock price|exchange rate} <day>", "should i {sell|buy} <subject>", "book a {flight|hotel|table} {to|in|for} <place>", "play {music|chess|a game}", "sing {a song|for me}", "set {an alarm|a timer}", "call {my mother|a taxi}", "search the web for <subject>", "summarize {this book|the news|hamlet|the bible}", "what is the square root of {2|144|10}", "solve {x^2 = 4|this equation|2x + 3 = 7}", "what is the derivative of {x^2|sin x}", "prove {that there are infinitely many primes|pythagoras}", "is {97|51|101} prime", "convert {5 miles|10 pounds|100 dollars} to {km|kg|euros}",
           "what do you think about <subject>", "what is heavier, <word> or <word>", "give me {ten|five|three} {ideas|names|tips|reasons} for {<thing>|a cat|my holiday}", "how do i {lose weight|get rich|learn <tongue>|find a job|sleep better|pass the exam|cook rice|tie a tie|change a tire|train a dog}", "what year did {world war two end|the titanic sink|the wall fall}", "what is {gpt-4|chatgpt|claude|gemini|llama 3|deepseek|midjourney|stable diffusion|siri}", "how do i install {windows|python|conda|docker|chrome|pytorch|ubuntu}", "how {many|much} {cuda cores|memory|power} {has|does} {an a100|a 4090|an h100} {have|need}", "who owns {nvidia|google|openai|tesla}", "how do i train {a model|my own llm|a lora}", "asdf", "qwerty", "blah blah", "xyz", "aaaa", "lorem ipsum", "1234", "???",
           "repeat after me: <word>", "what did i say before", "remember my name is <person>", "can you see me", "what color is {the sky|a banana|my shirt|grass|blood}", "how many legs does a {spider|dog|chair} have", "where do {penguins|lions|bananas} {live|come from|grow}", "what sound does a {cow|cat|duck} make", "which animal is the {fastest|largest}", "what rhymes with <word>", "spell <word>", "count to {10|100}", "write the alphabet", "tell me a {fact|secret|joke|riddle|lie}", "make me laugh", "who is your {boss|father|friend}", "open {youtube|google|the window}", "are you {happy|alive|conscious|married|hungry}"],
    "zh": ["<place>的{首都|人口|国旗|货币|历史|总统|面积|语言|美食}{是什么|是多少|是哪里|有哪些|}", "<place>在哪{里|}", "怎么去<place>", "{<place>|}<day>{的天气怎么样|天气如何|会下雨吗|会下雪吗|冷不冷}", "<person>是谁", "<person>{什么时候出生|写了什么|发明了什么|多高|多大了|有多少钱}", "介绍一下<person>", "谁{赢了|会赢}<sport>", "谁是<place>的{总统|总理|市长}",
           "{什么是|解释一下|介绍一下|讲讲|说说|教我|我想学|说明|谈谈|我不懂|请问什么是}<subject>", "<subject>", "<subject>是什么{意思|}", "<subject>{有什么用|难吗|怎么学|的历史|的原理是什么|的优点|危险吗|重要吗|怎么工作}", "<subject>和<subject>{有什么区别|哪个好}", "写{<thing>|一篇关于<subject>的文章}", "怎么{做|写}<thing>", "帮我{写|做|想}<thing>", "来<thing>", "怎么用<lang><code>", "写{一个|}{程序|函数|脚本|代码}<code>", "<lang>{是什么|难学吗|怎么入门}", "<lang>和<lang>哪个好", "帮我改一下<lang>代码",
           "<word>用<tongue>怎么说", "把<word>翻译成<tongue>", "用<tongue>说一句话", "现在几点{了|}", "<day>是星期几", "今天几号", "{推荐|介绍}{一款|一个|一部|一家|}<shop>", "哪{个|种|款}<shop>{最好|比较好|值得买}", "你最喜欢{什么颜色|吃什么|哪部电影|什么动物|哪首歌}", "我{很|好|有点}?<feel>", "<day>{吃什么|穿什么|做什么好|去哪玩}", "你{喜欢|认识|爱}<person>吗", "你有{感情|身体|朋友|孩子|工作|爱好}吗",
           "人生的意义是什么", "有没有外星人", "{地球|宇宙|太阳}有多大", "天空为什么是蓝色的", "世界上有多少{人|国家|动物}", "光速是多少", "谁发明了{电话|电灯|互联网|计算机}", "我{头|牙|肚子|腿}疼", "{房子|黄金|鸡蛋|显卡|机票}{多少钱|会涨吗}", "<day>有什么新闻", "帮我订{机票|酒店|餐厅}", "放{音乐|一首歌}", "唱首歌", "定个闹钟", "搜索<subject>", "总结{红楼梦|这本书|新闻}", "根号{2|16}是多少", "解方程{x²=4|2x+3=7}", "{97|51}是质数吗", "{5 英里|10 磅|100 美元}等于多少{公里|公斤|人民币}",
           "你怎么看<subject>", "{怎么|如何}{减肥|赚钱|学好英语|找工作|睡得更好|通过考试|煮饭|养狗|追女孩}", "{GPT-4|ChatGPT|Claude|文心一言|Llama 3|DeepSeek|Siri}是什么", "{怎么|如何}安装{Windows|Python|conda|Docker|浏览器|Ubuntu}", "A100 有多少{CUDA 核心|晶体管}", "{英伟达|谷歌|OpenAI}是谁的", "怎么训练{模型|自己的大模型|LoRA}", "啊啊啊", "哈哈哈", "随便说点什么", "背一首诗", "跟我说：<word>", "我刚才说了什么", "记住我叫<person>", "{香蕉|草|天空|血}是什么颜色", "{蜘蛛|狗}有几条腿", "企鹅{住在|生活在}哪里", "什么动物{跑得最快|最大}", "数到{十|一百}", "讲个{笑话|谜语|秘密|冷知识}", "逗我笑", "打开{微信|百度|窗户}", "你{开心|结婚|饿}了?吗", "123", "。。。", "成语接龙", "明天股票会涨吗", "高考怎么复习", "<place>有什么好玩的", "<shop>坏了怎么办"],
}


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


GENERAL = {
    "en": ["how {do i|can i|do you|to|does one|should i|could i} <verb> {a |the |my |}<noun>", "why {is|are} {a |the |}<noun> <adj>", "which <noun> is {the most |}<adj>", "{is|are} {a |the |}<noun> <adj>", "what is the <attr> of {a |the |}<noun>", "how many <noun>s are {there|in a <noun>|in the world}", "who {invented|discovered|wrote|made|painted|built|owns} the <noun>", "when was the <noun> {invented|built|discovered|made|founded}", "what's the difference between {a |}<noun> and {a |}<noun>",
           "{can|could|would} you <verb> {a |the |my |some |}<noun>[ for me]", "how {much|long|far|old|tall|deep|often|big} {is|does|are} {a |the |}<noun>[ take|cost|last]", "where {can i|do i|is|do} {find|buy|see|get} {a |the |}<noun>", "{my|the} <noun> is {broken|too <adj>|lost|<adj>}[, what should i do|, help]", "what {happens|changes} {when|if} i <verb> {a|the|my} <noun>", "what {should|can} i do with {a|my|the} <noun>", "give me {some |}{tips|ideas|advice|facts|information} {on|about|for} {<noun>|a <noun>|my <noun>}", "i {want|need|would like|plan} to <verb> {a|the|my} <noun>", "which is {better|more <adj>}, {a |}<noun> or {a |}<noun>", "what does {a |the |}<noun> {do|eat|mean|look like|need|consist of|taste like}", "does {a |the |}<noun> {work|help|hurt|exist|matter}", "what kind of <noun> {is|do you|should i} <verb>", "<noun> or <noun>", "<adj> <noun>", "the <attr> of {a |the |}<noun>", "how does {a|the} <noun> <verb> {a|the} <noun>", "explain {the |}<noun> and {the |}<noun>", "{write|tell|draw|make} {me |}{a|an|the} <noun>", "<verb> {the|a|my} <noun>"],
    "zh": ["{怎么|如何|怎样}<verb><noun>", "<noun>{为什么|为何|怎么}{这么|那么|}<adj>", "{哪种|哪个|什么}<noun>最<adj>", "<noun><adj>吗", "<noun>的<attr>{是什么|是多少|有哪些|}", "{世界上|一共|}有多少<noun>", "<noun>是谁{发明|发现|写|做|建造}的", "<noun>是什么时候{发明|出现|建成}的", "<noun>和<noun>{有什么区别|哪个更<adj>|有什么关系|哪个好}", "{帮我|你能|请|可以帮我}<verb><noun>{吗|}", "<noun>{多少钱|要多久|有多大|有多高|有多少种}", "{哪里|在哪}{能|可以}{买到|看到|找到}<noun>", "我的<noun>{坏了|丢了|不见了|太<adj>了}{怎么办|}", "{如果|要是}<verb><noun>会{怎样|发生什么}", "{给我|有没有}{一些|}{关于|}<noun>的{建议|知识|资料|技巧}", "我{想|要|打算|需要}<verb><noun>", "<noun>{能吃吗|吃什么|是什么做的|长什么样|有什么用|怎么样|的做法|对身体好吗|怎么选|怎么用|在哪里买}", "<noun>还是<noun>", "<adj>的<noun>", "<verb><noun>{需要什么|要注意什么|的步骤|的方法}", "<noun>{会不会|是不是}<adj>", "说说<noun>和<noun>", "为什么要<verb><noun>", "你{喜欢|会|懂|见过}<noun>吗", "<noun>里有什么", "{推荐|介绍}一{个|种}<noun>", "<noun>怎么<verb>"],
}


def question(kind: str, language: str, rng: random.Random) -> str:
    """A wording for one of ``QUESTIONS``; ``{n}`` becomes a number."""
    pattern = rng.choice(QUESTIONS[kind][language]).replace("{n}", "\0")
    text = expand(pattern, rng, language == "zh")
    while "\0" in text:
        text = text.replace("\0", str(rng.choice([rng.randint(0, 12), rng.randint(2, 99), rng.randint(10, 9999)])), 1)
    return text
