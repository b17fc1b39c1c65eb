"""Which texts a query's words find, script by script: a table to read as a specification."""

import math

import pytest

from twopass.index.words.analysis import Analyser


def is_found(text: str, query: str, language: str = "") -> bool:
    analyser = Analyser(language)
    return not analyser.query_weights(query).keys().isdisjoint(analyser.terms(text))


def best_first(query: str, texts: list[str], language: str = "") -> list[str]:
    """Texts that a query finds, by a plain BM25 (k1 1.2, b 0.75)."""
    analyser = Analyser(language)
    terms = [analyser.terms(text) for text in texts]
    average = sum(map(len, terms)) / len(texts)

    def score(of: list[str]) -> float:
        total = 0.0
        for term, weight in analyser.query_weights(query).items():
            num_holders = sum(term in one for one in terms)
            idf = math.log1p((len(texts) - num_holders + 0.5) / (num_holders + 0.5))
            count = of.count(term)
            total += weight * idf * count / (count + 1.2 * (0.25 + 0.75 * len(of) / average))
        return total

    scores = [score(of) for of in terms]
    order = sorted(range(len(texts)), key=lambda position: -scores[position])
    return [texts[position] for position in order if scores[position] > 0]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        # Scripts without spaces: words by dictionaries, and pairs where a text is cut otherwise.
        ("東京は日本の首都です", "東京"),
        ("東京は日本の首都です", "首都"),
        ("東京都は日本にあります", "京都"),  # as a pair; a text about Kyoto is above it
        ("请安装Docker后运行服务", "docker"),
        ("请安装Docker后运行服务", "安装"),
        ("北京大学生前来应聘", "大学"),
        ("水在一百度沸腾", "水"),
        ("热水器", "水"),
        ("𠮷野家で食べる", "𠮷野家"),
        ("日本語Python入門", "python"),
        ("日本語Python入門", "入門"),
        ("データベースサーバーの設定", "サーバー"),
        ("ﾃﾞｰﾀﾍﾞｰｽ", "データベース"),
        ("กรุงเทพเป็นเมืองหลวงของประเทศไทย", "เมืองหลวง"),
        ("กรุงเทพมหานคร", "กรุงเทพ"),
        ("ดื่มน้ำสะอาด", "น้ำ"),
        ("ดื่มน\u0e4d\u0e49าสะอาด", "น้ำ"),  # the vowel's two halves around the tone
        ("วຽງຈັນເປັນນະຄອນຫຼວງຂອງລາວ", "ນະຄອນຫຼວງ"),
        ("ວຽງຈັນເປັນນະຄອນຫຼວງ", "ວຽງຈັນ"),
        ("ភ្នំពេញជារាជធានីនៃប្រទេសកម្ពុជា", "រាជធានី"),
        ("ភ្នំពេញ\u200bជា\u200bរាជធានី", "រាជធានី"),
        ("မြန်မာနိုင်ငံ၏မြို့တော်", "မြို့တော်"),
        # Korean: words carry particles.
        ("서울은 대한민국의 수도이다", "서울"),
        ("서울은 대한민국의 수도이다", "수도"),
        ("서울은 대한민국의 수도이다", "대한민국"),
        ("물을 끓이다", "물"),
        ("서울특별시", "서울"),
        # Scripts with spaces.
        ("Die Straße nach Köln", "strasse koln"),
        ("STRASSE", "straße"),
        ("Łódź i Gdańsk", "lodz gdansk"),
        ("en rød grød", "rod"),
        ("đường phố Việt Nam", "duong"),
        ("Tiếng Việt", "tieng viet"),
        ("İSTANBUL'da ılık", "istanbul"),
        ("ILIK", "ılık"),
        ("Þórður æfði", "thordur"),
        ("œuvre d'art", "oeuvre"),
        ("Ёлка стоит", "елка"),
        ("е\u0301лка", "елка"),  # a stress mark
        ("Україна їжак", "ЇЖАК"),
        ("Η Αθήνα είναι ή", "αθηνα"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("ἄνθρωπος", "ανθρωποσ"),
        ("Երևան քաղաք", "ԵՐԵՒԱՆ"),
        ("ᲗᲑᲘᲚᲘᲡᲘ", "თბილისი"),
        ("مُحَمَّدٌ رسول", "محمد"),
        ("أحمد في المدرسة", "احمد"),
        ("می\u200cخواهم", "میخواهم"),
        ("کتاب فارسی", "كتاب"),  # Persian's letters and Arabic's
        ("שָׁלוֹם עוֹלָם", "שלום עולם"),
        ('צה"ל הודיע', "צה״ל"),
        ("हिन्दी भाषा", "हिन्दी"),
        ("क़लम", "कलम"),
        ("বাংলা ভাষা", "ভাষা"),
        ("தமிழ் மொழி", "மொழி"),
        ("తెలుగు భాష", "భాష"),
        ("ಕನ್ನಡ ನುಡಿ", "ನುಡಿ"),
        ("മലയാളം ഭാഷ", "ഭാഷ"),
        ("සිංහල භාෂාව", "සිංහල"),
        ("བོད་ཡིག་གི་དེབ", "ཡིག"),
        ("አማርኛ ፊደል", "ፊደል"),
        ("ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ", "ᠪᠢᠴᠢᠭ"),
        ("ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ", "ꮳꮃꭹ"),
        # Other forms of the same characters.
        ("Ｄｏｃｋｅｒ　１２３", "docker 123"),
        ("ﬁnancial oﬀer", "financial"),
        ("soft\u00adhyphen", "softhyphen"),
        ("zero\u200bwidth", "zerowidth"),
        ("H₂O and CO₂", "h2o"),
        ("١٢٣ كتاب", "123"),
        ("Docker™ Desktop", "docker"),
        ("as shown¹ before", "shown"),
        ("I ♥ 👍🏽", "👍"),
        ("🇩🇪 Berlin", "🇩🇪"),
        # Codes and names, whole and in parts.
        ("unit error QX7714", "qx7714"),
        ("unit error QX7714", "QX-7714"),
        ("valve XR-2000/5", "xr-2000/5"),
        ("valve XR-2000/5", "XR2000"),
        ("valve XR-2000/5", "2000"),
        ("getUserName()", "user name"),
        ("getUserName()", "GetUserName"),
        ("getUserName()", "username"),
        ("get_user_name", "user name"),
        ("HTTPServer", "http"),
        ("HTTPServer", "server"),
        ("our APIs", "api apis"),
        ("iPhone", "IPHONE"),
        ("wi-fi", "wifi"),
        ("written in C++.", "c++"),
        ("C++/CLI", "C++"),
        ("C/C++", "c++"),
        ("(C#, F#)", "f#"),
        ("on .NET", ".net"),
        ("Node.js", "nodejs"),
        ("ask @maria", "maria"),
        ("#release notes", "release"),
        ("AT&T and R&D", "at&t"),
        ("O'Neill", "oneill"),
        ("O\u2019Neill", "neill"),
        ("à l'école", "ecole"),
        ("don't", "don\u2019t"),
        ("the user's name", "user"),
        ("john.doe@example.com", "john.doe@example.com"),
        ("john.doe@example.com", "example.com"),
        ("https://www.example.com/docs/install.html", "install"),
        ("1,000,000 people", "1000000"),
        ("1000000 people", "1,000,000"),
        ("pi is 3.14", "3,14"),
        ("/usr/local/bin/python3.11", "python 3.11"),
        ("C:\\Windows\\System32", "windows"),
        ("U.S. law", "us"),
        ("550e8400-e29b-41d4-a716-446655440000", "e29b"),
    ],
)
def test_a_text_is_found(text, query):
    assert is_found(text, query)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("written in C++", "C"),
        ("written in C", "C#"),
        ("C#", "C++"),
        ("か", "が"),  # sound marks of kana make other letters
        ("ハ", "パ"),
        ("मे", "मी"),  # vowel signs are letters
        ("กา", "กี"),
        ("কা", "কি"),
        ("தா", "தி"),
        ("мой", "мои"),  # й is no и with an accent
        ("首页", "都市"),
        ("서울", "부산"),
        ("the 17th", "17"),
        ("version 2", "20"),
        ("software", "soft"),
        ("3.11", "311"),
        ("", "word"),
        ("word", ""),
        ("word", "?! -- ___ \u200b"),
    ],
)
def test_a_text_is_not_found(text, query):
    assert not is_found(text, query)


@pytest.mark.parametrize(
    ("query", "first", "second"),
    [
        ("XR-2000/5", "valve XR-2000/5", "valve XR-5/2000"),
        ("XR-5/2000", "valve XR-5/2000", "valve XR-2000/5"),
        ("3.11.2", "release 3.11.2", "release 2.11.3"),
        ("2.11.3", "release 2.11.3", "release 3.11.2"),
        ("user name", "the user name", "the user is here, and nobody knows a name"),
        ("getUserName", "call getUserName", "call getNameUser"),
        (".NET", "on .NET today", "on net today"),
        ("john.doe@example.com", "john.doe@example.com", "doe.john@example.com"),
        ("京都", "京都は古い都市です", "東京都は日本にあります"),
        ("北京大学", "北京大学在海淀", "大学在北京的东边"),
        ("대한민국", "대한민국의 수도", "민국 대한 독립"),
    ],
)
def test_a_text_is_found_before_another(query, first, second):
    others = ["something else altogether", "and one more of those"]
    assert best_first(query, [second, *others, first])[:2] == [first, second]


@pytest.mark.parametrize(
    ("language", "text", "query"),
    [
        ("en", "she was running", "runs"),
        ("porter", "she was running", "runs"),
        ("de", "viele Häuser", "haus"),
        ("de", "viele Hausern", "häuser"),  # without its dots it is found too
        ("fr", "elle a chanté", "chanter"),
        ("fr", "elle a chante", "chanté"),
        ("es", "las canciones", "canción"),
        ("es", "las canciones", "cancion"),
        ("pt", "as informações", "informação"),
        ("it", "le città", "citta"),
        ("ru", "красивые дома", "домами"),
        ("pl", "książkami", "ksiazka"),
        ("tr", "evlerde", "evler"),
        ("fi", "taloissa", "talo"),
        ("sv", "husen", "huset"),
        ("el", "οι άνθρωποι", "ανθρωπος"),
        ("ar", "المدرسة", "مدرسة"),
        ("hi", "लड़कियों", "लड़की"),
        ("hu", "házakban", "haz"),
        ("cs", "městech", "mesto"),
    ],
)
def test_endings_of_a_language_do_not_matter(language, text, query):
    assert is_found(text, query, language)


def test_words_stand_as_they_are_where_no_language_is_named():
    assert not is_found("she was running", "runs")


def test_what_has_been_joined_is_stemmed_as_the_word_that_it_is():
    assert is_found("all e-mails", "email", "en")
    assert is_found("their userNames", "username", "en")
