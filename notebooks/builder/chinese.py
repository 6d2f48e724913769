"""Traditional Chinese as Taiwan writes it: what a text may not hold, and how its lines join.

The words come from the table `zh-TW/terms.md`; what is checked here can be said by rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

__all__ = ["LANGUAGE", "faults", "join_lines", "read_terms"]

LANGUAGE = "zh-TW"
_HAN = "\u4e00-\u9fff"
_WIDE_MARKS = "，。、；：？！「」『』（）《》…"
_WIDE = f"{_HAN}{_WIDE_MARKS}"
_CODE = re.compile(r"```.*?```|`[^`\n]+`|<code>.*?</code>|https?://\S+", re.DOTALL)
_BOLD = re.compile(r"(.)\*\*(.+?)\*\*(?=(.))", re.DOTALL)
_TARGET = re.compile(r"\]\([^)]*\)")
_TAG = re.compile(r"<[^>]+>")
_LETTER = "A-Za-z0-9`"
_RULES = (
    ("a space between Chinese and Latin letters", f"[{_HAN}][{_LETTER}]|[{_LETTER}%][{_HAN}]"),
    ("a full-width mark after Chinese", rf"[{_HAN}」）][,;:?!](?!\S*//)"),
    ("no space around a full-width mark", f"[{_WIDE_MARKS}] +[{_HAN}]|[{_HAN}`*] +[{_WIDE_MARKS}]"),
    (
        "bold or 「」 instead of slanted Chinese",
        rf"(?<![*\w])\*(?![*\s])[^*\n]*[{_HAN}][^*\n]*\*(?!\*)",
    ),
    ("one kind of quotes, 「」", "[“”‘’]"),
)


def join_lines(text: str) -> str:
    r"""Join the lines of a paragraph where the break would show as a space between characters.

    Examples
    --------
    >>> join_lines("模型會回答，\n但誰來檢查？\n\n- 服務\n- 端點")
    '模型會回答，但誰來檢查？\n\n- 服務\n- 端點'
    """
    between = rf"(?<=[{_WIDE}])\n *(?=[{_WIDE}])"
    # Behind a mark no word needs a space either; lists, headings and tags begin lines of their own.
    behind_a_mark = rf"(?<=[{_WIDE_MARKS}])\n *(?![\s#>|<-]|\d+\. |```)"
    return re.sub(f"{between}|{behind_a_mark}", "", text)


def faults(text: str, terms: Mapping[str, str]) -> Iterator[str]:
    """Say what a Chinese text holds that no reader in Taiwan would write.

    Parameters
    ----------
    text
        Markdown; what stands in code is not looked at.
    terms
        Words that are not used here, each with the one that is.

    Examples
    --------
    >>> list(faults("服务", {}))
    ["a character that is not Traditional Chinese: '务'"]
    >>> list(faults("打开 app,或", {}))
    ["a character that is not Traditional Chinese: '开'"]
    >>> list(faults("默認是 8000", {"默認": "預設"}))
    ["'默認' is written '預設'"]
    """
    plain = _TAG.sub("\n", _CODE.sub("`", _TARGET.sub("]", text)))
    for character in sorted(set(re.findall(f"[{_HAN}]", plain))):
        # Big5 was made in Taiwan: it has no simplified characters.
        if not _is_in_big5(character):
            yield f"a character that is not Traditional Chinese: {character!r}"
    for word, better in terms.items():
        if word in _without_longer(word, plain, terms.values()):
            yield f"{word!r} is written {better!r}"
    for rule, pattern in _RULES:
        if found := re.search(pattern, plain):
            around = plain[max(0, found.start() - 5) : found.end() + 5]
            yield f"wanted: {rule}, at {around!r}"
    for bold in _BOLD.finditer(f" {plain} "):
        # Markdown takes such stars for stars: a letter outside and a mark inside of them.
        before, first, last, after = bold[1], bold[2][0], bold[2][-1], bold[3]
        if before.isalnum() > first.isalnum() or after.isalnum() > last.isalnum():
            yield f"wanted: marks outside of bold, at {bold[0]!r}"


def read_terms(folder: Path) -> dict[str, str]:
    """Read from the table which words are not used, and what is written instead.

    Parameters
    ----------
    folder
        Of the notebooks.
    """
    path = folder / LANGUAGE / "terms.md"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = [[part.strip() for part in line.strip("| ").split("|")] for line in lines if "|" in line]
    return {
        word: row[1]
        for row in rows[2:]
        if len(row) == 3  # noqa: PLR2004 -- English, the word, what is not written
        for word in row[2].split("、")
        if word
    }


def _without_longer(word: str, text: str, better: Iterable[str]) -> str:
    """Take out the right words that have a wrong one in them."""
    for longer in {part for written in better for part in written.split("、")}:
        if word in longer:
            text = text.replace(longer, "")
    return text


def _is_in_big5(character: str) -> bool:
    try:
        character.encode("big5")
    except UnicodeEncodeError:
        return False
    return True
