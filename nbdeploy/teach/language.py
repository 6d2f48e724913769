"""The language in which checks and hints speak to the student.

Checks are written in plain English; what they say is looked up here, by its English words, when
it is shown. The catalogues are files of pairs, English to Chinese, one for each module; ``{0}``
stands for what a sentence says of the student's object.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePath

from nbdeploy.exceptions import NbdeployError

__all__ = ["LANGUAGES", "UnknownLanguageError", "language", "translate"]

LANGUAGES = ("en", "zh-TW")
_VARIABLE = "NBDEPLOY_LANG"
_ALSO = {"zh-hant": "zh-TW", "zh-hant-tw": "zh-TW", "zh-tw": "zh-TW", "en": "en"}
_PLACE = re.compile(r"\{(\d)\}")
# So few letters are in many sentences: such a template takes what is surely one part.
_SHORT = 6
# What comes from the student or from Python, and is shown as it is.
_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`|""")
_ENGLISH = re.compile("[A-Za-z]+,? [A-Za-z]+")
_WORDS = re.compile(r"\S+(?:, \S+)*|\[.*\]|\{.*\}|\(.*\)", re.DOTALL)
# A text in quotes or a number is one part, also with marks in it that the template has.
_ANYTHING = r"""('[^']*'|"[^"]*"|[\d.,]*\d%?|.*?)"""
_BETWEEN_CHINESE = re.compile("(?<=[\u4e00-\u9fff]) (?=[\u4e00-\u9fff])")


class UnknownLanguageError(NbdeployError, ValueError):
    """The variable ``NBDEPLOY_LANG`` names a language that there is not."""


def language() -> str:
    """Find the language: of ``NBDEPLOY_LANG``, else of the notebook's folder, else English.

    Raises
    ------
    UnknownLanguageError
        If the variable names a language that there is not.
    """
    asked = os.environ.get(_VARIABLE, "")
    if not asked:
        return LANGUAGES[1] if LANGUAGES[1] in _notebook().parts else LANGUAGES[0]
    # As in LANG, there may be an encoding behind the language.
    plain = asked.partition(".")[0].replace("_", "-").lower()
    found = _ALSO.get(plain) or (LANGUAGES[0] if plain.startswith("en-") else None)
    if found is None:
        message = (
            f"The environment variable {_VARIABLE} is {asked!r}; there are "
            f"{' and '.join(LANGUAGES)}. Set it to one of them, or remove it."
        )
        raise UnknownLanguageError(message)
    return found


def translate(text: str) -> str:
    """Say an English sentence in the language of the student.

    Parameters
    ----------
    text
        A sentence, or a part of one. One that no catalogue knows stays as it is.

    Examples
    --------
    >>> translate("a running service")
    'a running service'
    """
    return text if language() == LANGUAGES[0] else _in_chinese(text)


def _notebook() -> PurePath:
    # Jupyter tells the kernel where its notebook is; others start it in the notebook's folder.
    return Path(os.environ.get("JPY_SESSION_NAME") or Path.cwd())


def _in_chinese(text: str) -> str:
    if two := re.fullmatch(r"(\S+) and (\S+)", text):
        return _filled("{0} 與 {1}", [_part(one) for one in two.groups()])
    return _known(text) or _joined(text, ": ", "：") or _joined(text, " and ", " 與 ") or text


def _known(text: str) -> str:
    """Find a sentence, or a template that it fits; nothing if there is none."""
    if sentence := _sentence(text):
        return sentence
    for template, written in _catalogue()[1]:
        found = _pattern(template).fullmatch(text)
        is_short = _letters(template) < _SHORT
        if found and not (is_short and any(map(_is_loose, found.groups()))):
            return _filled(written, [_part(part) for part in found.groups()])
    return ""


def _sentence(text: str) -> str:
    sentences, _ = _catalogue()
    # A title may stand in the middle of a sentence.
    return sentences.get(text) or sentences.get(text[:1].upper() + text[1:], "")


def _is_loose(text: str) -> bool:
    """Whether it is neither a list of words, a value as Python writes it, nor a known sentence."""
    return not _WORDS.fullmatch(text) and not _sentence(text)


def _filled(template: str, parts: list[str]) -> str:
    filled = _PLACE.sub(lambda place: parts[int(place[1])], template)
    # The spaces around a place are for what is not Chinese.
    return _BETWEEN_CHINESE.sub("", filled)


def _part(text: str) -> str:
    return text if _QUOTED.fullmatch(text) else _in_chinese(text)


def _joined(text: str, english: str, chinese: str) -> str:
    """Say both sides of a joint; nothing if there is English left: half a sentence helps nobody."""
    first, joint, second = text.partition(english)
    if not joint:
        return ""
    said = [_part(first), _part(second)]
    if said == [first, second] or any(_ENGLISH.search(_QUOTED.sub("", part)) for part in said):
        return ""
    return _filled(f"{{0}}{chinese}{{1}}", said)


@cache
def _catalogue() -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Read the sentences, and the templates with the one that says most first."""
    pairs: dict[str, str] = {}
    for file in files("nbdeploy.teach").joinpath("messages", LANGUAGES[1]).iterdir():
        pairs |= json.loads(file.read_text(encoding="utf-8"))
    sentences = {english: chinese for english, chinese in pairs.items() if "{0}" not in english}
    templates = sorted(
        pairs.keys() - sentences.keys(), key=lambda one: (-len(_PLACE.sub("", one)), one)
    )
    return sentences, [(english, pairs[english]) for english in templates]


def _letters(template: str) -> int:
    return sum(character.isalpha() for character in template)


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = _PLACE.split(template)  # literal, number, literal, ...: the numbers rise from 0
    return re.compile(_ANYTHING.join(map(re.escape, parts[::2])), re.DOTALL)
