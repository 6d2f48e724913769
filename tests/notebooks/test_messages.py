"""What the checks say in Chinese follows the same rules as the text of the lessons."""

from __future__ import annotations

import json
from pathlib import Path

from builder.chinese import faults, read_terms

ROOT = Path(__file__).parents[2]


def test_the_messages_of_the_checks_read_as_the_lessons_do():
    terms = read_terms(ROOT / "notebooks")
    files = (ROOT / "nbdeploy/teach/messages/zh-TW").glob("*.json")
    pairs = [pair for path in files for pair in json.loads(path.read_text("utf-8")).items()]
    assert [(chinese, fault) for _, chinese in pairs for fault in faults(chinese, terms)] == []
