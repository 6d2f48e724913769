"""HTML that is safe by construction: text is escaped unless it was built here."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import cache
from importlib.resources import files

__all__ = ["Html", "element", "escape", "fragment", "link", "sheet", "style", "visible"]

# What a reader cannot see or what turns the order of the text around it: controls, formats such
# as marks and overrides of direction, lone surrogates (UTF-8 has none), separators of lines.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Letters of no shape; and the joiners, which Persian and emoji cannot be written without.
_FILLERS = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_JOINERS = frozenset("\u200c\u200d")
_WEB_ADDRESS = re.compile(r"""(?:https?://|/(?![/\\]))[^\s"'<>\\`]*""", re.IGNORECASE)


class Html(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


def visible(text: object, *, keep: str = "") -> str:
    r"""Write characters that cannot be seen, or that reorder text, as Python escapes.

    Parameters
    ----------
    text
        Anything; ``str`` of it is shown.
    keep
        Characters to leave alone, such as the newlines of code.

    Examples
    --------
    >>> print(visible("ham\x00spam\u202egnp.exe"))
    ham\x00spam\u202egnp.exe
    """
    shown = str(text)
    if shown.isascii() and shown.isprintable():
        return shown
    return "".join(
        character.encode("unicode_escape").decode()
        if _is_unseen(character) and character not in keep
        else character
        for character in shown
    )


def _is_unseen(character: str) -> bool:
    if character in _FILLERS:
        return True
    return unicodedata.category(character) in _UNSEEN and character not in _JOINERS


def escape(text: object, *, keep: str = "") -> Html:
    """Escape text for an element or a quoted attribute; what is :class:`Html` stays.

    Parameters
    ----------
    text
        Anything; ``str`` of it is shown.
    keep
        Invisible characters to leave alone, see :func:`visible`.

    Examples
    --------
    >>> escape("<b title='x'> & co")
    '&lt;b title=&#x27;x&#x27;&gt; &amp; co'
    """
    if isinstance(text, Html):
        return text
    return Html(html.escape(visible(text, keep=keep)))


def element(name: str, *children: object, **attributes: str | None) -> Html:
    """Build an element.

    Parameters
    ----------
    name
        The tag, never from a user.
    children
        Text, which is escaped, or :class:`Html`; ``None`` is left out.
    attributes
        Values are escaped and ``None`` is left out. ``class_`` is ``class``, an underscore
        inside a name is a hyphen. For an address use :func:`link`.

    Examples
    --------
    >>> element("p", "1 < 2", element("b", "!"), class_="note", aria_label=None)
    '<p class="note">1 &lt; 2<b>!</b></p>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    content = "".join(escape(child) for child in children if child is not None)
    return Html(f"<{name}{written}>{content}</{name}>")


def link(url: str, text: object = None, **attributes: str | None) -> Html:
    """Build a link that opens in another tab.

    Parameters
    ----------
    url
        An ``http`` or ``https`` address, or a path on the same server. Anything else, such as
        ``javascript:``, makes no link: the text is shown alone.
    text
        What is shown; the address itself when ``None``.
    attributes
        As in :func:`element`.
    """
    shown = url if text is None else text
    if _WEB_ADDRESS.fullmatch(url) is None:
        return element("span", shown, **attributes)
    return element("a", shown, href=url, target="_blank", rel="noopener", **attributes)


def fragment(*children: object, class_: str = "", styled: bool = True) -> str:
    """Wrap what one object shows: its root element, with the style that it needs.

    Parameters
    ----------
    children
        As in :func:`element`.
    class_
        A class for the root, beside ``nbdeploy``.
    styled
        Whether the style goes along; a page of its own has it once.
    """
    own = style("style.css") if styled else None
    return str(element("div", own, *children, class_=f"nbdeploy {class_}".rstrip()))


def style(name: str) -> Html:
    """Put one of the style sheets beside this module into an element, see :func:`sheet`."""
    return Html(f"<style>{sheet(name)}</style>")


@cache
def sheet(name: str) -> str:
    """Read one of the style sheets beside this module, without what a reader alone needs.

    Parameters
    ----------
    name
        ``"style.css"``, which every `fragment` has, or what one kind of them needs beside it.
    """
    written = files("nbdeploy.display").joinpath(name).read_text(encoding="utf-8")
    without_comments = re.sub(r"/\*.*?\*/", "", written, flags=re.DOTALL)
    return re.sub(r"\s*([{};:,])\s+|\s+(?=[{}])", r"\1", without_comments).strip()
