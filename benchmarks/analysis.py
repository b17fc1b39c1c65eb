"""What cutting texts into words costs, by script: microseconds of one core for a text.

Texts of 400 characters are analysed again and again, as documents are, so that their words are
known; "new words" is the first time, with nothing remembered. It leaves out what indexing costs.
Run it as `python -m twopass.benchmarks.analysis`.
"""

import statistics
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from twopass.benchmarks.machine import this_machine
from twopass.index.words.analysis import Analyser

NUM_CHARACTERS = 400
NUM_TEXTS = 200
_NUM_ROUNDS = 7

# Each is repeated from another place for each text.
PASSAGES = {
    "English": "The first bridge across the river was built in 1248, of wood; a larger one of "
    "stone followed two centuries later, and it is still what visitors come for: some 1,200,000 a "
    "year, most of them in summer. ",
    "code": "call getUserName(session.user_id) of com.example.auth.UserService in v3.11.2, or "
    "see https://docs.example.com/api/users#get-by-id; error QX-7714/B means HTTPServer "
    "timed out. ",
    "German": "Die Straße führt über die Brücke nach Köln, wo im Jahr 1248 der Bau des Doms "
    "begann; später wurde er größer, und viele Gäste kommen jedes Jahr. ",
    "Russian": "Москва является столицей страны, её население превышает двенадцать миллионов "
    "человек; ещё больше людей приезжает сюда каждый день. ",
    "Arabic": "القاهرة هي عاصمة مصر وأكبر مدنها، ويبلغ عدد سكانها أكثر من عشرة ملايين نسمة. ",
    "Hindi": "नई दिल्ली भारत की राजधानी है और यहाँ की जनसंख्या एक करोड़ से अधिक है। ",
    "Korean": "서울은 대한민국의 수도이자 최대 도시이며 인구는 약 천만 명이다. "
    "한강이 남북으로 나눈다. ",
    "Chinese": "北京是国家的首都，也是政治中心和文化中心。请安装Docker后运行服务，"
    "人口超过两千万，名胜古迹众多。",
    "Japanese": "東京は日本の首都であり、世界でも有数の大都市です。"
    "コンピューターの歴史について学ぶことができます。",
    "Thai": "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย มีประชากรมากกว่าสิบล้านคน และเป็นศูนย์กลางของประเทศ ",
}


def texts(passage: str) -> list[str]:
    """Returns texts of 400 characters, which begin at different places of a passage."""
    long = passage * (2 * NUM_CHARACTERS // len(passage) + 2)
    return [long[start : start + NUM_CHARACTERS] for start in range(NUM_TEXTS)]


def seconds(analyser: Analyser, some: Sequence[str]) -> float:
    """Returns the processor time of analysing some texts once, for each text."""
    start = time.thread_time()
    for text in some:
        analyser.terms(text)
    return (time.thread_time() - start) / len(some)


def main() -> None:
    """Prints the table."""
    console = Console()
    for line in this_machine().lines():
        console.print(line)
    table = Table("script", "terms", "new words, µs", "µs", "spread, µs", "MB/s")
    for name, passage in PASSAGES.items():
        some = texts(passage)
        analyser = Analyser()
        first = seconds(analyser, some[:1])
        rounds = sorted(seconds(analyser, some) for _ in range(_NUM_ROUNDS))
        typical = statistics.median(rounds)
        num_bytes = statistics.mean(len(text.encode()) for text in some)
        num_terms = statistics.mean(len(analyser.terms(text)) for text in some)
        table.add_row(
            name,
            f"{num_terms:.0f}",
            f"{first * 1e6:,.0f}",
            f"{typical * 1e6:,.0f}",
            f"{rounds[0] * 1e6:,.0f} to {rounds[-1] * 1e6:,.0f}",
            f"{num_bytes / typical / 1e6:.1f}",
        )
    console.print(table)


if __name__ == "__main__":
    main()
