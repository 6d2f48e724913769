from __future__ import annotations

import json
import shutil
from pathlib import Path

import nbformat
import pytest
from builder.command import main

LESSON = """\
# %% [markdown]
# # A lesson

# %% [markdown] lang="zh-TW"
# # 一課

# %%
import os, socket, tempfile, time, uuid
from pathlib import Path
print("http://127.0.0.1:%d/docs" % (40000 + os.getpid() % 9000), uuid.uuid4())
print(tempfile.mkdtemp(), Path.cwd() / "model.joblib", object())
print("sent: Authorization: Bearer", os.urandom(16).hex())

# %% [markdown]
# How long does it take?

# %% [markdown] lang="zh-TW"
# 需要多久？

# %%
began = time.perf_counter()
print(f"took {(time.perf_counter() - began) * 1e3:.6f} ms, at {time.strftime('%H:%M:%S')}")
1 + 1

# %% tags=["raises-exception"]
Path("nowhere").read_text()

# %% jupyter={"source_hidden": true}
os.environ["NBDEPLOY_STRICT"], os.environ["HOME"]
"""

EXERCISE = """\
# %% [markdown]
# Add one.

# %% [markdown] lang="zh-TW"
# 加一。

# %%
def add_one(number):
    # solution
    return number + 1

# %%
# solution
answer = add_one(1)
print(answer)

# %%
assert answer == 2
"""

ONLY_ENGLISH = "short.py\nlong.py"
TERMS = """\
| English | 用語 | 不寫 |
|---|---|---|
| default | 預設 | 默認、缺省 |
| model | 模型 | |
"""


def write(root: Path, name: str, text: str) -> None:
    path = root / "src" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def notebook(path: Path):
    return nbformat.read(path, as_version=4)


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.ipynb")}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    root = tmp_path_factory.mktemp("notebooks")
    write(root, "lesson.py", LESSON)
    write(root, "exercises/ex1.py", EXERCISE)
    (root / "zh-TW").mkdir()
    (root / "zh-TW/untranslated.txt").write_text(f"# in English only\n{ONLY_ENGLISH}\n")
    (root / "zh-TW/terms.md").write_text(TERMS, encoding="utf-8")
    shutil.copy(Path(__file__).parents[2] / "notebooks/sanitize.cfg", root)
    assert main(["--root", str(root)]) == 0
    return root


@pytest.fixture
def tree(built, tmp_path):
    return Path(shutil.copytree(built, tmp_path / "tree"))


def check(root: Path, capsys) -> list[str]:
    status = main(["--root", str(root), "--check"])
    lines = capsys.readouterr().err.splitlines()
    assert status == (1 if lines else 0)
    return lines


def edit(path: Path, change) -> None:
    edited = notebook(path)
    change(edited)
    path.write_text(nbformat.writes(edited) + "\n", encoding="utf-8")


def test_a_lesson_becomes_a_notebook_for_each_language_and_an_exercise_two(built):
    assert sorted(files(built)) == [
        "exercises/ex1.ipynb",
        "exercises/solutions/ex1.ipynb",
        "lesson.ipynb",
        "zh-TW/exercises/ex1.ipynb",
        "zh-TW/exercises/solutions/ex1.ipynb",
        "zh-TW/lesson.ipynb",
    ]


def test_what_was_built_passes_the_check(built, capsys):
    assert check(built, capsys) == []


def test_each_language_has_its_own_text_and_the_same_code_and_outputs(built):
    english, chinese = notebook(built / "lesson.ipynb"), notebook(built / "zh-TW/lesson.ipynb")
    texts = [[c.source for c in n.cells if c.cell_type == "markdown"] for n in (english, chinese)]
    assert texts == [["# A lesson", "How long does it take?"], ["# 一課", "需要多久？"]]
    codes = [[c for c in n.cells if c.cell_type == "code"] for n in (english, chinese)]
    assert codes[0] == codes[1]


def test_outputs_show_no_place_of_this_run(built):
    first = notebook(built / "lesson.ipynb").cells[1].outputs[0].text
    assert first.splitlines() == [
        "http://127.0.0.1:8000/docs 00000000-0000-0000-0000-000000000000",
        "/tmp/folder ~/notebooks/model.joblib <object object at 0x7f0000000000>",
        "sent: Authorization: Bearer TOKEN",
    ]


def test_an_error_keeps_its_message_and_no_frame_of_a_library(built):
    error = notebook(built / "lesson.ipynb").cells[4].outputs[0]
    assert error.evalue == "[Errno 2] No such file or directory: 'nowhere'"
    text = "".join(error.traceback)
    assert "read_text" in text
    assert "pathlib.py" not in text


def test_a_cell_runs_strict_and_in_a_home_of_its_own(built):
    last = notebook(built / "lesson.ipynb").cells[5]
    assert last.outputs[0].data["text/plain"] == "('1', '~')"
    assert last.metadata == {"jupyter": {"source_hidden": True}}


def test_metadata_and_ids_hold_nothing_of_one_run(built):
    lesson = notebook(built / "lesson.ipynb")
    assert set(lesson.metadata) == {"kernelspec", "language_info"}
    assert lesson.metadata.language_info == {"name": "python"}
    assert all("execution" not in cell.metadata for cell in lesson.cells)
    assert [cell.execution_count for cell in lesson.cells if cell.cell_type == "code"] == [
        1,
        2,
        3,
        4,
    ]


def test_building_again_gives_the_same_bytes(tree):
    before = files(tree)
    assert main(["--root", str(tree)]) == 0
    assert files(tree) == before


def test_a_cell_put_in_changes_no_other_id(tree, built):
    write(tree, "lesson.py", LESSON.replace("# %%\nbegan", "# %%\nnew = 1\n\n# %%\nbegan"))
    assert main(["--root", str(tree), "lesson"]) == 0
    ids = [cell.id for cell in notebook(tree / "lesson.ipynb").cells]
    before = [cell.id for cell in notebook(built / "lesson.ipynb").cells]
    assert [one for one in ids if one in before] == before
    assert len(ids) == len(before) + 1


def test_a_measurement_stays_as_it_was_and_a_changed_word_does_not(tree, built):
    stored = notebook(built / "lesson.ipynb").cells[3].outputs
    edit(tree / "lesson.ipynb", lambda lesson: lesson.cells[3].outputs[0].update(text="took 1 s"))
    assert main(["--root", str(tree), "lesson"]) == 0
    again = notebook(tree / "lesson.ipynb").cells[3].outputs
    assert again[0].text.startswith("took 0.")
    assert again[1] == stored[1]


def test_a_measurement_is_new_when_it_is_asked_for_or_the_code_above_changed(tree):
    def stored():
        return notebook(tree / "lesson.ipynb").cells[3].outputs[0].text

    before = stored()
    assert main(["--root", str(tree), "lesson", "--fresh"]) == 0
    fresh = stored()
    assert fresh != before
    write(tree, "lesson.py", LESSON.replace("import os, ", "import json, os, "))
    assert main(["--root", str(tree), "lesson"]) == 0
    assert stored() != fresh


def test_an_exercise_has_stubs_instead_of_solutions_and_no_outputs(built):
    codes = [c for c in notebook(built / "exercises/ex1.ipynb").cells if c.cell_type == "code"]
    assert [cell.source for cell in codes] == [
        "def add_one(number):\n    ...  # your code here",
        "answer = ...  # your code here",
        "assert answer == 2",
    ]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in codes)


def test_a_solution_has_the_code_without_the_marker_and_its_outputs(built):
    solved = notebook(built / "exercises/solutions/ex1.ipynb")
    codes = [cell for cell in solved.cells if cell.cell_type == "code"]
    assert codes[0].source == "def add_one(number):\n    return number + 1"
    assert codes[1].outputs[0].text == "2\n"


def test_an_exercise_without_anything_to_solve_is_refused(tree, capsys):
    write(tree, "exercises/ex2.py", "# %%\n1 + 1\n")
    assert main(["--root", str(tree), "ex2"]) == 1
    err = capsys.readouterr().err
    assert err == "exercises/ex2.py: no '# solution' line, so there is nothing to solve\n"


@pytest.mark.parametrize(
    ("old", "new", "first"),
    [
        ("1 + 1", "1 + 2", "cell 4, in the source: 'began = time.perf_counter()'"),
        ("# # A lesson", "# # The lesson", "cell 1, in the source: '# The lesson'"),
        ('"raises-exception"', '"raises-exception", "x"', "cell 5"),
        ('Path("nowhere").read_text()\n', 'Path("nowhere").read_text()\n# %%\n2', "cell 6"),
    ],
)
def test_a_source_that_changed_after_the_build_is_noticed(tree, capsys, old, new, first):
    write(tree, "lesson.py", LESSON.replace(old, new))
    problems = check(tree, capsys)
    assert any(line.startswith("lesson.ipynb: not what its source builds") for line in problems)
    assert any(first in line for line in problems)


def test_a_notebook_edited_by_hand_is_noticed(tree, capsys):
    edit(tree / "zh-TW/lesson.ipynb", lambda lesson: lesson.cells[0].update(source="# 兩課"))
    (problem,) = check(tree, capsys)
    assert problem.startswith("zh-TW/lesson.ipynb: not what its source builds, first at cell 1")


def clear(cell):
    return cell.update(outputs=[], execution_count=None)


def port(cell):
    cell.outputs[0].text += "127.0.0.1:43127"


def warn(cell):
    cell.outputs = [nbformat.v4.new_output("stream", name="stderr", text="DeprecationWarning")]


def fail(cell):
    cell.outputs = [nbformat.v4.new_output("error", ename="E", evalue="no", traceback=[])]


@pytest.mark.parametrize(
    ("index", "change", "problem"),
    [
        (1, clear, "was not executed in order"),
        (3, fail, "ends with an error and is not tagged 'raises-exception'"),
        (4, lambda cell: cell.update(outputs=[]), "is tagged 'raises-exception' and does not"),
        (3, warn, "writes to stderr and is not tagged 'warns'"),
        (1, port, "shows a port, an address or a folder of one run"),
    ],
)
def test_outputs_that_are_not_from_a_build_are_noticed(tree, capsys, index, change, problem):
    edit(tree / "lesson.ipynb", lambda lesson: change(lesson.cells[index]))
    line, *twins = check(tree, capsys)
    assert line.startswith("lesson.ipynb: code cell")
    assert problem in line
    assert twins
    assert all(twin.startswith("zh-TW/lesson.ipynb: code cell") for twin in twins)


def test_an_unsolved_stub_in_a_lesson_is_noticed(tree, capsys):
    write(tree, "lesson.py", LESSON.replace("1 + 1", "...  # your code here"))
    assert any("has an unsolved stub" in line for line in _after_building(tree, capsys))


def _after_building(root, capsys):
    main(["--root", str(root), "lesson"])
    capsys.readouterr()
    return check(root, capsys)


def test_an_exercise_that_was_run_is_noticed(tree, capsys):
    edit(tree / "exercises/ex1.ipynb", lambda one: one.cells[3].update(execution_count=1))
    assert check(tree, capsys) == [
        "exercises/ex1.ipynb: has the output of 'assert answer == 2': it gives answers away",
        "zh-TW/exercises/ex1.ipynb: code cell 3 has another execution_count than in English",
    ]


def test_a_notebook_that_is_missing_or_has_no_source_is_noticed(tree, capsys):
    (tree / "lesson.ipynb").rename(tree / "stray.ipynb")
    assert check(tree, capsys) == [
        "lesson.ipynb: it was not built",
        "zh-TW/lesson.ipynb: has 4 code cells, and 0 in English",
        "stray.ipynb: has no source",
    ]


def test_a_lesson_that_is_listed_as_untranslated_needs_no_twins(tree, capsys):
    write(tree, "short.py", "# %% [markdown]\n# Only English\n")
    assert main(["--root", str(tree), "short"]) == 0
    assert not (tree / "zh-TW/short.ipynb").exists()


def test_a_lesson_in_one_language_that_is_not_listed_is_refused(tree, capsys):
    write(tree, "new.py", "# %% [markdown]\n# Only English\n")
    assert main(["--root", str(tree), "new"]) == 1
    assert "new.py: has no Chinese at all" in capsys.readouterr().err


def test_a_translated_lesson_is_taken_off_the_list(tree, capsys):
    (tree / "zh-TW/untranslated.txt").write_text("lesson.py\n")
    assert check(tree, capsys) == [
        "lesson.py: has Chinese cells: take it off zh-TW/untranslated.txt"
    ]


def test_a_word_of_the_table_that_is_not_written_is_noticed(tree, capsys):
    write(tree, "lesson.py", LESSON.replace("需要多久", "默認多久"))
    assert "lesson.py: '默認' is written '預設', in '默認多久？'" in check(tree, capsys)


def test_when_only_a_text_changed_nothing_has_to_run(tree, built, capsys):
    write(tree, "lesson.py", LESSON.replace("# 需要", "# 到底需要"))
    assert main(["--root", str(tree), "lesson", "--text"]) == 0
    assert capsys.readouterr().out.split()[0] == "notebook"  # the table of lengths
    assert check(tree, capsys) == []
    assert (tree / "lesson.ipynb").read_bytes() == (built / "lesson.ipynb").read_bytes()


def test_when_code_changed_too_it_has_to_run(tree, capsys):
    write(tree, "lesson.py", LESSON.replace("1 + 1", "1 + 2"))
    assert main(["--root", str(tree), "lesson", "--text"]) == 1
    err = capsys.readouterr().err
    assert err == "lesson.py: its code changed too: build it without --text\n"


def test_an_output_that_differs_in_the_second_language_is_noticed(tree, capsys):
    def other(lesson):
        lesson.cells[3].outputs[1].data["text/plain"] = "3"

    edit(tree / "zh-TW/lesson.ipynb", other)
    assert check(tree, capsys) == [
        "zh-TW/lesson.ipynb: code cell 2 has another outputs than in English"
    ]


def test_a_link_to_a_file_that_is_not_there_is_noticed(tree, capsys):
    links = "# # A lesson, [a](lesson.ipynb#x), [b](https://b.example), [c](lost.md)"
    write(tree, "lesson.py", LESSON.replace("# # A lesson", links).replace("# # 一課", links))
    main(["--root", str(tree), "lesson", "--text"])
    assert capsys.readouterr().err.splitlines() == [
        f"{folder}lesson.ipynb: a link leads to lost.md, which is not there"
        for folder in ("", "zh-TW/")
    ]


def test_a_failing_cell_stops_the_build_and_leaves_the_stored_notebook(tree, capsys):
    before = files(tree)
    write(tree, "lesson.py", LESSON.replace("1 + 1", "1 / 0"))
    assert main(["--root", str(tree), "lesson"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert files(tree) == before


def test_an_unknown_name_gets_a_near_miss(tree, capsys):
    assert main(["--root", str(tree), "leson"]) == 1
    err = capsys.readouterr().err
    assert err == "There is no script 'leson'. Did you mean 'lesson'? There are: ex1, lesson.\n"


def test_a_stored_file_is_plain_json_with_one_end_of_line(built):
    text = (built / "lesson.ipynb").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert "一課" in (built / "zh-TW/lesson.ipynb").read_text(encoding="utf-8")
    assert json.loads(text)["nbformat"] == 4
