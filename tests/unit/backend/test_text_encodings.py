"""A document's encoding, by how common its characters would be."""

import pytest

from backend.text_encodings import decode_guessed, encoding_of


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
