"""A document's encoding, by how common its characters would be."""

import pytest

from backend.text_encodings import decode, decode_guessed, encoding_of


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1253", "Η γρήγορη καφέ αλεπού πηδά πάνω από τον τεμπέλη σκύλο. Αυτό είναι ένα κείμενο."),
        ("cp1254", "Hızlı kahverengi tilki tembel köpeğin üzerinden atlar. Bu çok güzel bir ışık değil."),
        ("cp1250", "Zażółć gęślą jaźń. Pchnąć w tę łódź jeża lub ośm skrzyń fig. Dzień dobry."),
        ("iso8859_2", "Příliš žluťoučký kůň úpěl ďábelské ódy. Děkuji, že jste přišli."),
        ("cp1255", "שועל חום מהיר קופץ מעל הכלב העצלן. זה טקסט לכיול."),
        ("cp1256", "الثعلب البني السريع يقفز فوق الكلب الكسول. هذا نص للمعايرة."),
        ("cp874", "สุนัขจิ้งจอกสีน้ำตาลกระโดดข้ามสุนัขขี้เกียจ นี่คือข้อความ"),
        ("cp1251", "Съешь же ещё этих мягких французских булок, да выпей чаю."),
        ("koi8_r", "Съешь же ещё этих мягких французских булок, да выпей чаю."),
        ("cp1252", "Voix ambiguë d’un cœur qui, au zéphyr, préfère les jattes de kiwis."),
    ],
)
def test_letters_of_one_byte(encoding: str, text: str) -> None:
    assert encoding_of(text.encode(encoding)) == encoding
    assert decode_guessed(text.encode(encoding)) == (text, encoding)


def test_lines_of_several_encodings_are_taken_one_by_one() -> None:
    lines = "模型已加载\n".encode() * 30 + "显存不足\n".encode("gb18030")
    assert decode_guessed(lines) == ("模型已加载\n" * 30 + "显存不足\n", "")


@pytest.mark.parametrize("share", [1, 3, 10])
def test_utf8_with_many_lines_of_gbk_is_taken_line_by_line(share: int) -> None:
    lines = [f"第{number}行：用户说数据集已经转换完成。\n" for number in range(40)]
    mixed = b"".join(line.encode("utf-8" if n % (share + 1) else "gb18030") for n, line in enumerate(lines))
    assert decode_guessed(mixed) == ("".join(lines), "")
    assert decode(mixed, encoding_of(mixed)) == "".join(lines)


@pytest.mark.parametrize(
    "names",
    [
        "王伟 李娜 张敏 刘洋 陈静 杨帆 赵磊 黄婷 周强 吴倩 徐鹏 孙丽 马超 朱琳 胡军 郭涛",
        "北京 上海 广州 深圳 杭州 南京 武汉 成都 西安 重庆 苏州 天津 长沙 郑州 青岛 沈阳",
        "欧阳锋 诸葛亮 司马懿 上官婉儿 慕容复 令狐冲 独孤求败 东方朔 夏侯惇 皇甫嵩",
        "苹果 香蕉 葡萄 西瓜 橙子 柠檬 樱桃 草莓 芒果 菠萝 荔枝 龙眼 榴莲 椰子 柚子",
    ],
)
def test_lists_of_chinese_names_are_no_cyrillic(names: str) -> None:
    content = names.replace(" ", "\n").encode("gb18030")
    assert encoding_of(content) == "gb18030"
