"""Every message of the checks stands in the catalogue of the second language, and no other."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbdeploy import teach
from nbdeploy.teach.steps import lesson_title, lessons_in_order

TEACH = Path(teach.__file__).parent
MESSAGES = TEACH / "messages/zh-TW"
UNTRANSLATED = Path(__file__).parents[2] / "notebooks/zh-TW/untranslated.txt"
LISTED = UNTRANSLATED.read_text(encoding="utf-8").splitlines()
MODULES = [
    path
    for path in sorted([*TEACH.glob("*.py"), *TEACH.glob("lessons/*.py")])
    if path.stem not in {"__init__", "demo", "language", "markup"}
    and f"nbdeploy/teach/{path.relative_to(TEACH)}" not in LISTED
]
# What checks and cards say: by the name of an argument, and what functions return.
FIELDS = {"expected", "came", "look", "title", "hints", "what"}
# Sentences in the code that no student sees in a notebook, or that are no sentences.
NOT_SHOWN = {
    "A step is named lesson.number, like '01.2'; {0} has no lesson.",
    "Step {0} already has a check, {1}.",
    "{0} is gone",
    "answer of",
    "answer of {0}",
    "in flight",
    "without an actuator",
    "station {0}",
    "check {0}",
    "Bearer {0}",
    "Python",
    "UTF-8",
    "img",
    "color: {0}",
    "var(--jp-error-color1, #cf222e)",
    "predict_proba",
    "FROM python:3.11-slim",
    "COPY requirements.txt ./",
    "RUN pip install -r requirements.txt",
    "ENV MODEL=model.joblib",
    "COPY model.joblib ./",
    # Of two joined parts, the joint.
    " and ",
}
PLACE, CODE = re.compile(r"\{\d\}"), re.compile("`[^`]*`")
# Places for the ending of a plural: Chinese has none.
PLURALS = {", with {0} warning{1}": {"{1}"}, "one of {0} in {1} step{2}": {"{2}"}}


def catalogue() -> dict[str, str]:
    pairs: dict[str, str] = {}
    for path in MESSAGES.glob("*.json"):
        pairs |= json.loads(path.read_text(encoding="utf-8"))
    return pairs


def template(node: ast.JoinedStr) -> str:
    parts = iter(range(10))
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else f"{{{next(parts)}}}"
        for part in node.values
    )


def literals(node: ast.AST) -> Iterator[str]:
    """All texts in an expression, without names of keys and attributes."""
    if isinstance(node, ast.JoinedStr):
        yield template(node)
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                yield from literals(part.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Subscript):
        yield from literals(node.value)
    elif isinstance(node, ast.Call):
        # Of a call within a message, only what joins or lists texts.
        for part in (node.func, *node.args, *(keyword.value for keyword in node.keywords)):
            if not isinstance(part, ast.Constant):
                yield from literals(part)
    else:
        for child in ast.iter_child_nodes(node):
            yield from literals(child)


def documentation(tree: ast.Module) -> set[int]:
    kinds = (ast.Module, ast.FunctionDef, ast.ClassDef)
    holders = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    firsts = [holder.body[0] for holder in holders]
    return {id(first.value) for first in firsts if isinstance(first, ast.Expr)}


def is_sentence(text: str) -> bool:
    """Words, other than those in code and in the places for values."""
    plain = re.sub(r"`[^`]*`|\{\d\}|\{\"features\": \{0\}\}", "", text)
    is_markup = text.startswith(("<", "#"))
    return bool(re.search("[A-Za-z]{2}", plain)) and not is_markup and text not in NOT_SHOWN


def messages(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = documentation(tree)
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in FIELDS:
            found |= set(literals(node.value))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in {
            "Finding",
            "translate",
        }:
            found |= {text for part in node.args for text in literals(part)}
        elif isinstance(node, (ast.JoinedStr, ast.Constant)) and id(node) not in skipped:
            # Anything else with a space between words is a sentence too.
            found |= {text for text in literals(node) if re.search(r"[A-Za-z}.:] [A-Za-z{]", text)}
    return {text for text in found if is_sentence(text)} - pieces(tree)


def pieces(tree: ast.Module) -> set[str]:
    """The constant parts of templates, which `ast.walk` visits too."""
    joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    return {
        part.value
        for node in joined
        for part in node.values
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_message_of_a_module_is_translated(path):
    missing = messages(path) - catalogue().keys()
    assert not missing, f"not in messages/zh-TW/{path.stem}.json"


def test_the_catalogue_holds_nothing_that_is_no_longer_said():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in TEACH.rglob("*.py")]
    said = {text for tree in trees for node in ast.walk(tree) for text in literals(node)}
    said |= {lesson_title(lesson) for lesson in lessons_in_order()}
    assert catalogue().keys() - said == set()


def test_the_titles_of_the_lessons_are_translated():
    titles = {lesson_title(lesson) for lesson in lessons_in_order() if not _is_listed(lesson)}
    assert titles - catalogue().keys() == set()


def _is_listed(lesson: str) -> bool:
    return any(f"/{name}.py" in line for line in LISTED for name in (lesson, f"lesson_{lesson}"))


def test_a_sentence_stands_in_one_file_only():
    files = [json.loads(path.read_text(encoding="utf-8")) for path in MESSAGES.glob("*.json")]
    assert sum(map(len, files)) == len(catalogue())


def test_a_translation_has_the_places_and_the_code_of_the_sentence():
    wrong = [
        english
        for english, chinese in catalogue().items()
        if set(PLACE.findall(chinese)) != set(PLACE.findall(english)) - PLURALS.get(english, set())
        or set(CODE.findall(english)) != set(CODE.findall(chinese))
    ]
    assert wrong == []
