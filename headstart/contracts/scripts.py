"""Which script a text is written in, and which one a language is, without a model."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import Final, final

_CODES: Final = frozenset(  # of ISO 639-1
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy "
    "da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu "
    "hy hz ia ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg "
    "li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or "
    "os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta "
    "te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu".split()
)
_NAMES: Final = {  # in English
    "arabic": "ar",
    "bulgarian": "bg",
    "chinese": "zh",
    "czech": "cs",
    "danish": "da",
    "dutch": "nl",
    "english": "en",
    "finnish": "fi",
    "french": "fr",
    "german": "de",
    "greek": "el",
    "hebrew": "he",
    "hindi": "hi",
    "hungarian": "hu",
    "italian": "it",
    "japanese": "ja",
    "kazakh": "kk",
    "korean": "ko",
    "norwegian": "no",
    "persian": "fa",
    "polish": "pl",
    "portuguese": "pt",
    "romanian": "ro",
    "russian": "ru",
    "serbian": "sr",
    "spanish": "es",
    "swedish": "sv",
    "thai": "th",
    "turkish": "tr",
    "ukrainian": "uk",
    "vietnamese": "vi",
    "indonesian": "id",
}
_SCRIPTS: Final = {  # as Unicode's names of letters begin; Latin where a language isn't named
    "ARABIC": "ar fa ks ps sd ug ur",
    "ARMENIAN": "hy",
    "BENGALI": "as bn",
    "CJK": "ja ko zh",
    "CYRILLIC": "ab av ba be bg ce cu cv kk kv ky mk mn os ru sr tg tt uk",
    "DEVANAGARI": "hi mr ne sa",
    "ETHIOPIC": "am ti",
    "GEORGIAN": "ka",
    "GREEK": "el",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "HANGUL": "ko",
    "HEBREW": "he yi",
    "HIRAGANA": "ja",
    "KANNADA": "kn",
    "KATAKANA": "ja",
    "KHMER": "km",
    "LAO": "lo",
    "MALAYALAM": "ml",
    "MYANMAR": "my",
    "ORIYA": "or",
    "SINHALA": "si",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAANA": "dv",
    "THAI": "th",
    "TIBETAN": "bo dz",
}
_TAG: Final = re.compile(r"([A-Za-z]{2})(?:[-_][A-Za-z]{2,4}){0,2}|([a-z]{3})[-_][A-Z][a-z]{3}")
_WIDE: Final = ("FULLWIDTH", "HALFWIDTH")


def language(name: str) -> str:
    """The language that a column or file is called after, such as `en`, `pt_BR` or `ukrainian`.

    A code of two letters, or of three where a script stands behind it; empty for other names.
    """
    name = name.strip()
    match = _TAG.fullmatch(name)
    if match and match[2]:
        return match[2]
    code = match[1].lower() if match else _NAMES.get(name.lower(), "")
    return code if code in _CODES or name.lower() in _NAMES else ""


def expected(name: str) -> frozenset[str]:
    """The scripts that a language, called so, is usually written in; none where it isn't known."""
    code = language(name)
    if len(code) != 2:
        return frozenset()
    own = {script for script, codes in _SCRIPTS.items() if code in codes.split()}
    return frozenset(own or {"LATIN"})


@final
class _Letters(dict[int, str]):
    """What stands for a character: the sign of its script for a letter, else nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []  # of scripts, by the number of their sign

    def __missing__(self, code: int) -> str:
        words = unicodedata.name(chr(code), "").split() or [""]
        name = words[1] if words[0] in _WIDE and len(words) > 1 else words[0]
        if not chr(code).isalpha():
            self[code] = ""
            return ""
        if name not in self.names:
            self.names.append(name)
        self[code] = chr(self.names.index(name))
        return self[code]


_LETTERS: Final = _Letters()


def scripts(text: str) -> Counter[str]:
    """How many letters of a text are of each script."""
    counts = Counter(text.translate(_LETTERS))
    return Counter({_LETTERS.names[ord(sign)]: count for sign, count in counts.items()})


def share(text: Counter[str], of: frozenset[str]) -> float:
    """Which share of a text's letters is of these scripts; 0 where it has none."""
    return sum(count for script, count in text.items() if script in of) / max(1, text.total())
