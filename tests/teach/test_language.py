from __future__ import annotations

import pytest

from nbdeploy.exceptions import NbdeployError
from nbdeploy.teach import CheckFailed, check, hint, progress, report
from nbdeploy.teach.checks import examine
from nbdeploy.teach.language import language, translate
from nbdeploy.teach.ready import Finding, Readiness
from nbdeploy.teach.steps import UnknownStepError, find_step


@pytest.fixture
def chinese(monkeypatch):
    monkeypatch.setenv("NBDEPLOY_LANG", "zh-TW")


def test_without_anything_said_the_language_is_english():
    assert language() == "en"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("zh-TW", "zh-TW"),
        ("zh_TW.UTF-8", "zh-TW"),
        ("zh-Hant", "zh-TW"),
        ("en", "en"),
        ("en_GB", "en"),
    ],
)
def test_the_variable_names_the_language(asked, found, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_LANG", asked)
    assert language() == found


@pytest.mark.parametrize("asked", ["fr", "zh-CN", "english"])
def test_a_language_that_there_is_not_is_refused_with_those_there_are(asked, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_LANG", asked)
    with pytest.raises(NbdeployError, match=f"{asked}'; there are en and zh-TW"):
        language()


@pytest.mark.parametrize(
    ("notebook", "found"),
    [
        ("/home/ana/notebooks/zh-TW/01_save_and_load.ipynb", "zh-TW"),
        ("/home/ana/notebooks/zh-TW/exercises/ex1_full_flow.ipynb", "zh-TW"),
        ("/home/ana/notebooks/01_save_and_load.ipynb", "en"),
        ("/home/ana/not-zh-TW-at-all.ipynb", "en"),
    ],
)
def test_without_the_variable_the_path_of_the_notebook_decides(notebook, found, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", notebook)
    assert language() == found


def test_where_jupyter_does_not_tell_the_notebook_the_working_folder_decides(tmp_path, monkeypatch):
    (tmp_path / "zh-TW").mkdir()
    monkeypatch.chdir(tmp_path / "zh-TW")
    assert language() == "zh-TW"
    monkeypatch.setenv("NBDEPLOY_LANG", "en")
    assert language() == "en"


@pytest.mark.parametrize(
    ("english", "expected"),
    [
        ("a running service", "執行中的服務"),
        (
            "the service 'a, which was stopped', which was stopped",
            "服務 'a, which was stopped'，但它已經停了",
        ),
        ("what you gave: a dict with the key 'island'", "你給的東西：只有一個鍵 'island' 的 dict"),
        ("what you gave: the text 'a' and the number 3", "你給的東西：字串 'a' 與數字 3"),
        ("a DataFrame of shape (3, 2)", "形狀 (3, 2) 的一個 DataFrame"),
        ("the ratio is 1.14. Round up, never down.", "ratio 是 1.14。要進位，不要捨去。"),
        ("71: that is for both versions together", "71：那是兩個版本加起來的數量"),
        ("a comparison of 1.0 and 1.2", "1.0 與 1.2 的比較"),
        ("ValueError: columns are missing: {'a'}", "ValueError: columns are missing: {'a'}"),
        ("Expected a number, a sign and a limit: x", "Expected a number, a sign and a limit: x"),
        ("something that no catalogue knows", "something that no catalogue knows"),
        ("", ""),
    ],
)
def test_what_a_sentence_says_of_an_object_stays_in_its_place(english, expected, chinese):
    assert translate(english) == expected


@pytest.mark.usefixtures("even_step")
def test_a_verdict_keeps_its_parts_and_its_order(chinese, capsys):
    check("demo.1", 3)
    assert capsys.readouterr().out.splitlines() == [
        "步驟 demo.1 還沒完成。",
        "  預期：     an even number",
        "  實際：     3",
        "  看看：     the last digit",
        '  卡住了？： `hint("demo.1")`',
    ]


@pytest.mark.usefixtures("even_step")
def test_both_forms_of_a_verdict_are_translated(chinese):
    verdict = examine(find_step("demo.1"), (...,))
    assert "預期：     你自己的 `number`" in repr(verdict)
    assert "<dt>預期</dt><dd>你自己的 <code>number</code></dd>" in verdict.to_html()
    passed = examine(find_step("demo.1"), (2,))
    assert repr(passed) == "步驟 demo.1 通過：2 is even。"
    assert "步驟 demo.1 通過：" in passed.to_html()


@pytest.mark.usefixtures("even_step")
def test_a_strict_check_raises_in_the_language(chinese, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_STRICT", "1")
    with pytest.raises(CheckFailed, match=r"步驟 demo\.1 還沒完成。"):
        check("demo.1", 3)


def test_hints_climb_in_the_language(chinese):
    assert repr(hint("05.1")).startswith("步驟 05.1 的提示 1（共 3 個）：從上往下看每一行；")
    assert "<summary>步驟 05.1 的提示 2（共 3 個）</summary>" in hint("05.1").to_html()


def test_the_report_is_shown_in_the_language_and_written_in_english(chinese, tmp_path):
    check("05.2", 1)
    shown = repr(report(tmp_path / "report.json"))
    assert shown.splitlines()[-3:] == [
        "05.1  說出哪些要重新建置  還沒試     0",
        "05.2  釘住安裝好的版本    還沒過     1",
        "通過 0 個步驟，共 2 個",
    ]
    assert "Pin the versions that are installed" in (tmp_path / "report.json").read_text()


def test_the_card_of_the_course_is_shown_in_the_language(chinese):
    card = repr(progress())
    assert card.splitlines()[0].split() == ["課", "內容", "步驟", "通過"]
    assert "這台機器準備好了嗎？" in card
    assert "0 / 2" in card
    assert "下一步：00.1，看看機器準備好了沒。" in card


def test_the_ready_check_is_shown_in_the_language(chinese):
    found = "2 usable of 8 in the machine: `n_jobs=-1` would start too many workers"
    cure = "Open the notebooks from a folder that is yours, for example your home folder."
    ready = Readiness(
        (
            Finding("Processors", found),
            Finding("Folder", "cannot write: Read-only file system", "problem", cure),
        )
    )
    table = repr(ready).splitlines()
    assert table[1].split()[:2] == ["處理器", "正常"]
    assert "可用 2 個，整台機器有 8 個" in table[1]
    assert "無法寫入：Read-only file system" in table[2]
    assert "例如家目錄" in table[2]
    assert table[3] == "還沒準備好。請先解決：資料夾。"
    assert "還沒準備好" in ready.to_html()


def test_an_unknown_step_is_named_in_the_language(chinese):
    with pytest.raises(UnknownStepError) as caught:
        check("05.11")
    assert str(caught.value) == (
        "沒有步驟 '05.11'。是不是 '05.1'？"
        "這一課有：05.1 (說出哪些要重新建置), 05.2 (釘住安裝好的版本)。"
    )
