"""A text file in a notebook: highlighted in both themes, with a download that keeps its name."""

from __future__ import annotations

import base64
from typing import Any, Self

from nbdeploy.display.html import Html, element, escape, fragment, style

__all__ = ["GeneratedFile", "highlighted"]

# Kinds of tokens, the most special first, and the class that style.css colours.
_CLASSES = (
    ("Token.Comment", "nbd-code-comment"),
    ("Token.Keyword", "nbd-code-keyword"),
    ("Token.Name.Tag", "nbd-code-key"),
    ("Token.Name.Attribute", "nbd-code-key"),
    ("Token.Literal.Number", "nbd-code-number"),
    ("Token.Literal", "nbd-code-text"),
    ("Token.Operator", "nbd-code-keyword"),
)
_LANGUAGES = {"Dockerfile": "docker", ".yaml": "yaml", ".yml": "yaml", ".md": "markdown"}


class GeneratedFile(str):
    r"""The text of a file, which a notebook shows highlighted.

    It is a ``str`` in every other way.

    Parameters
    ----------
    text
        What is in the file.
    name
        What the file is called; the download keeps the name, and the highlighting follows it.

    Examples
    --------
    >>> file = GeneratedFile("FROM python:3.11-slim\n", name="Dockerfile")
    >>> file.startswith("FROM"), file.name
    (True, 'Dockerfile')
    """

    __slots__ = ("name",)

    name: str

    def __new__(cls, text: str, *, name: str) -> Self:
        """Make the text, and keep the name."""
        made = super().__new__(cls, text)
        made.name = name
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (str(self), self.name)

    def to_html(self) -> str:
        """Write the file as the output of a cell: no script, nothing from a network."""
        content = base64.b64encode(self.encode()).decode()
        # As plain text, Chromium saves it as Dockerfile.txt.
        address = Html(f"data:application/octet-stream;base64,{content}")
        download = element("a", "Download", href=address, download=self.name)
        head = element("div", element("strong", self.name), " ", download, class_="nbd-file-head")
        code = element("pre", highlighted(self, self.name))
        return fragment(style("code_view.css"), head, code, class_="nbd-file")

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        # IPython has a way of its own to show a str, which wins over the bundle's text.
        printer.text(str(self))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.to_html()}


def _made(text: str, name: str) -> GeneratedFile:
    return GeneratedFile(text, name=name)


def highlighted(text: str, name: str) -> Html:
    """Colour a text by the kind of file that its name tells; the classes are of code_view.css."""
    language = next((kind for end, kind in _LANGUAGES.items() if name.endswith(end)), "text")
    try:
        from pygments.lexers import get_lexer_by_name  # noqa: PLC0415 -- heavy import
    except ImportError:
        # Without IPython there is nobody to look at it.
        return escape(text, keep="\n\t")
    pieces = get_lexer_by_name(language, stripnl=False).get_tokens(text)
    return Html("".join(_piece(str(kind), piece) for kind, piece in pieces))


def _piece(kind: str, piece: str) -> Html:
    shown = escape(piece, keep="\n\t")
    class_ = next((name for start, name in _CLASSES if kind.startswith(start)), None)
    return element("span", shown, class_=class_) if class_ else shown
