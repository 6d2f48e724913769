"""Strings that break what shows them: names, columns, versions and errors may hold any of these.

Use with ``@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)``.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from unicodedata import category

HOSTILE = {
    "empty": "",
    "blank": " \t ",
    "script": "<script>alert(1)</script>",
    "script in another case": "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "image": "<img src=x onerror=alert(1)>",
    "svg": "<svg/onload=alert(1)>",
    "iframe": "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "unfinished tag": "<img src=x onerror=alert(1) ",
    "end of style": "</style><script>alert(1)</script>",
    "end of title and textarea": "</title></textarea></pre></details></table></div><b>out</b>",
    "comment": "<!--><b>--!><b>",
    "cdata": "<![CDATA[<b>]]><?xml <b>?>",
    "double quote": '" onmouseover="alert(1)" x="',
    "single quote": "' onmouseover='alert(1)' x='",
    "backquote": "` onmouseover=alert(1) `",
    "style": "x;}body{display:none}</style>",
    "css url": "background:url(javascript:alert(1))",
    "entity": "&lt;script&gt;alert(1)&lt;/script&gt;",
    "numeric entity": "&#60;script&#x3e;alert(1)",
    "broken entity": "&#0;&#xD800;&notanentity",
    "javascript address": "javascript:alert(1)",
    "javascript address in disguise": "java\tscript:alert(1)",
    "javascript address after a control": "\x01javascript:alert(1)",
    "data address": "data:text/html,<script>alert(1)</script>",
    "vbscript address": "vbscript:msgbox(1)",
    "address of another host": "//evil.example/x",
    "address with a backslash": "/\\evil.example/x",
    "address that leaves its attribute": 'https://evil.example/"onclick="alert(1)',
    "template": "{{constructor.constructor('alert(1)')()}}${alert(1)}#{1}<%= 1 %>",
    "markdown": "[x](javascript:alert(1)) ![x](http://evil.example/x.png) **b** `c`",
    "percent": "%s%n%(x)s {0} {name!r}",
    "nul": "ham\x00spam",
    "escape sequence": "\x1b[31mred\x1b[0m\x1b]0;title\x07\x9b31m",
    "backspace": "safe\b\b\b\bevil",
    "newlines": "first\nsecond\r\nthird\rfourth\x85fifth\u2028sixth\u2029",
    "override to the left": "model\u202egnp.exe",
    "isolates": "\u2066a\u2067b\u2068c\u2069d",
    "embeddings": "\u202aa\u202bb\u202cc\u202dd",
    "marks of direction": "\u200ea\u200fb\u061cc",
    "zero width": "chu\u200brn\ufeff\u2060",
    "soft hyphen": "chu\xadrn",
    "filler": "\u3164\u115f\uffa0",
    "tags": "churn\U000e0063\U000e0061",
    "lone surrogate": "churn\ud800",
    "combining": "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319" * 20,
    "right to left": "שלום עולם مرحبا",
    "chinese": "企鵝分類模型",
    "emoji": "🐧👩\u200d🔬🏴",
    "persian joiner": "می\u200cخواهم",  # noqa: RUF001 -- Persian
    "not a character": "\ufffe\uffff",
    "long word": "x" * 20_000,
    "long text": "many words " * 2_000,
    "path": "../../../etc/passwd\\..\\x",
    "shell": "'; rm -rf ~ #$(id)`id`",
    "header": "x\r\nSet-Cookie: a=b",
    "formula": "=HYPERLINK(A1)",
    "reserved words": "None",
    "number": "1e400",
}


class Parsed(HTMLParser):
    """The tags, attributes and text of HTML, as a browser would find them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.others: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        """All text but that of styles."""
        return "".join(self.texts)

    @property
    def left_open(self) -> list[str]:
        """Tags that were not closed, or were closed out of order."""
        return self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()
        else:
            self._open.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_decl(self, decl: str) -> None:
        self.others.append(decl)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)

    def unknown_decl(self, data: str) -> None:
        self.others.append(data)


def assert_harmless(html: str) -> Parsed:
    """Assert that HTML runs nothing, leads nowhere else and is well formed; return its parts."""
    parsed = Parsed(html)
    assert parsed.left_open == []
    assert parsed.others == []
    allowed = {"a", "bdi", "code", "dd", "details", "div", "dl", "dt", "p", "pre", "span"}
    allowed |= {"strong", "style", "summary", "table", "tbody", "td", "th", "thead", "tr"}
    assert set(parsed.tags) <= allowed
    for name, value in parsed.attributes:
        assert name in {"aria-hidden", "class", "href", "rel", "role", "scope", "style", "target"}
        if name == "style":
            # The length of a bar, and nothing else.
            assert value is not None
            assert re.fullmatch(r"width: \d+\.\d%", value)
        if name == "href":
            assert value is not None
            assert value.startswith(("http://", "https://", "/"))
            assert not value.startswith(("//", "/\\"))
    assert_visible(html)
    html.encode("utf-8")
    return parsed


def assert_visible(text: str) -> None:
    """Assert that a text holds nothing that is unseen or that turns the order of text."""
    unseen = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    allowed = {"\n", "\t", "\u200c", "\u200d"}
    assert {hex(ord(c)) for c in text if category(c) in unseen and c not in allowed} == set()
