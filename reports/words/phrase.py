"""Phrases in two languages, and sentences: phrases filled with typed pieces.

The type of a piece says what it is, so that a page can style it and a test can read it: names are
isolated, intervals are lighter and never broken, the main number has the accent colour. Nothing
else in a sentence is ever markup, whatever a strategy is called.
"""

import re
from typing import Literal, NamedTuple

from markupsafe import Markup, escape

Language = Literal["en", "ja"]
LANGUAGES: tuple[Language, ...] = ("en", "ja")
BREAK = "\u200b"  # where a Japanese line may break in headings; not for titles and alt texts


class Phrase(NamedTuple):
    """Pattern in English and in Japanese; both take the same fields."""

    en: str
    ja: str

    def pattern(self, language: Language) -> str:
        """The pattern of one language."""
        return self.ja if language == "ja" else self.en


class Name(str):
    """A strategy's or a file's name: foreign text."""


class Bracket(str):
    """An interval in brackets."""


class Gap(str):
    """A difference and its interval: the interval is set as a `Bracket`."""


class Key(str):
    """The number that the sentence is about."""


class Sentence(NamedTuple):
    """A phrase with its pieces; `text` gives plain text for machines and alt texts, `html` the
    page's markup."""

    phrase: Phrase
    language: Language
    values: dict[str, str]

    @property
    def text(self) -> str:
        """Plain text with no-break spaces."""
        filled = self.phrase.pattern(self.language).format(**self.values)
        return tidy(filled.replace(BREAK, ""))

    @property
    def html(self) -> Markup:
        """Escaped, with the pieces marked up."""
        filled = Markup(escape(self.phrase.pattern(self.language))).format(
            **{key: dressed(value) for key, value in self.values.items()}
        )
        return Markup(tidy(str(filled)))


class Entry(NamedTuple):
    """A head and its sentences."""

    head: str
    lines: list[Sentence]

    @property
    def html(self) -> Markup:
        """The sentences, one after the other."""
        return coded(joined(self.lines))


def sentence(phrase: Phrase, language: Language, **values: str) -> Sentence:
    """Fill a phrase; a missing field is a programming error and raises KeyError when rendered."""
    return Sentence(phrase, language, values)


def joined(sentences: list[Sentence]) -> Markup:
    """Sentences after one another: a space between English ones, none between Japanese."""
    between = " " if sentences and sentences[0].language == "en" else ""
    return Markup(between).join(s.html for s in sentences)


def joined_text(sentences: list[Sentence]) -> str:
    """The same as plain text."""
    between = " " if sentences and sentences[0].language == "en" else ""
    return between.join(s.text for s in sentences)


def coded(text: str) -> Markup:
    """Escaped where it is not markup yet, with `what stands in backticks` set as code.

    >>> coded("run `a < b`")
    Markup('run <code>a &lt; b</code>')
    """
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def dressed(value: str) -> Markup:
    """Markup of one piece."""
    safe = escape(str(value))
    if isinstance(value, Name):
        return Markup("<bdi>{}</bdi>").format(safe)
    if isinstance(value, Bracket):
        return Markup('<span class="i nb">{}</span>').format(safe) if value else Markup("")
    if isinstance(value, Gap):
        number, bracket, ends = value.partition("[")
        return Markup("{}{}").format(number, dressed(Bracket(bracket + ends)))
    if isinstance(value, Key):
        return Markup('<span class="n">{}</span>').format(safe)
    return Markup(safe)


def tidy(text: str) -> str:
    """No space is left where an interval was not measured."""
    for doubled, single in (("  ", " "), (" ,", ","), (" .", "."), (" ;", ";"), (" )", ")")):
        text = text.replace(doubled, single)
    return text.replace(" 、", "、").replace(" 。", "。").replace(" ）", "）").strip()
