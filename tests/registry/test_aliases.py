"""Aliases move to a version, back and forward, and tell who moved them."""

from __future__ import annotations

import itertools
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbdeploy import VersionError
from nbdeploy.exceptions import CorruptedModelError
from nbdeploy.registry.aliases import Aliases, Timeline
from nbdeploy.registry.local_storage import LocalStorage
from nbdeploy.registry.storage import open_storage

_counter = itertools.count()


@pytest.fixture
def three_versions(versions, make_model):
    for number in (1, 2, 3):
        versions.save_model_version(make_model(number), f"{number}.0")
        versions.set_alias("production", f"{number}.0", why=f"release {number}")
    return versions


def test_an_alias_stands_for_its_version(three_versions):
    assert three_versions["production"].version == "3.0"
    assert three_versions.get_model_version("production") is not None
    assert "production" in three_versions
    assert three_versions.aliases == {"production": "3.0"}
    assert three_versions["3.0"].aliases == ("production",)
    assert three_versions["1.0"].aliases == ()


def test_back_repeatedly_and_forward_again(three_versions):
    assert three_versions.rollback("production").version == "2.0"
    assert three_versions.rollback("production", why="still wrong").version == "1.0"
    with pytest.raises(VersionError, match=r"cannot go back: it points to '1\.0'"):
        three_versions.rollback("production")
    assert three_versions.roll_forward("production").version == "2.0"
    assert three_versions.roll_forward("production").version == "3.0"
    with pytest.raises(VersionError, match="cannot go forward"):
        three_versions.roll_forward("production")


def test_a_new_version_after_a_rollback_goes_back_to_where_the_rollback_was(
    three_versions, make_model
):
    three_versions.rollback("production")
    three_versions.save_model_version(make_model(4), "4.0")
    three_versions.set_alias("production", "4.0")
    assert three_versions.rollback("production").version == "2.0"
    with pytest.raises(VersionError):
        three_versions.set_alias("production", "5.0")
    assert three_versions.roll_forward("production").version == "4.0"


def test_deleted_versions_are_passed_over(three_versions):
    three_versions.delete("2.0")
    assert three_versions.rollback("production").version == "1.0"
    assert three_versions.roll_forward("production").version == "3.0"


def test_the_history_tells_who_when_from_to_and_why(three_versions):
    three_versions.rollback("production", why="3.0 was slow")
    *_, last = three_versions.history("production")
    assert (last.who, last.name, last.action) == ("ana", "production", "rollback")
    assert (last.before, last.after, last.why) == ("3.0", "2.0", "3.0 was slow")
    changes = three_versions.history("production")
    assert [change.after for change in changes] == ["1.0", "2.0", "3.0", "2.0"]
    assert [change.when for change in changes] == sorted(change.when for change in changes)


def test_setting_an_alias_where_it_is_changes_nothing(three_versions):
    before = len(three_versions.history())
    three_versions.set_alias("production", "3.0")
    assert len(three_versions.history()) == before


def test_an_alias_takes_a_version_or_another_alias(three_versions):
    three_versions.set_alias("best", three_versions["1.0"])
    three_versions.set_alias("candidate", "best")
    assert three_versions.aliases == {"best": "1.0", "candidate": "1.0", "production": "3.0"}


def test_a_removed_alias_is_gone_and_its_history_stays(three_versions):
    three_versions.remove_alias("production", why="retired")
    assert three_versions.aliases == {}
    assert "production" not in three_versions
    assert three_versions.get_model_version("production") is None
    assert three_versions.history("production")[-1].action == "remove"
    with pytest.raises(VersionError, match="no alias 'production'"):
        three_versions.rollback("production")
    three_versions.set_alias("production", "1.0")
    with pytest.raises(VersionError, match="cannot go back"):
        three_versions.rollback("production")


@pytest.mark.parametrize("call", ["rollback", "roll_forward", "remove_alias"])
def test_an_unknown_alias_is_told_with_a_near_miss(three_versions, call):
    with pytest.raises(VersionError, match=r"no alias 'prodution'.*Did you mean 'production'\?"):
        getattr(three_versions, call)("prodution")


def test_a_version_deleted_elsewhere_is_told(three_versions):
    # By somebody whose look at the aliases came before the alias moved.
    three_versions._shelves.own.delete("3.0", "")
    with pytest.raises(VersionError, match=r"points to version '3\.0', which was deleted"):
        three_versions["production"]
    assert three_versions.rollback("production").version == "2.0"


def test_a_mover_killed_on_a_drive_without_links_leaves_the_old_version(
    three_versions, tmp_path, monkeypatch
):
    (tmp_path / "churn" / "aliases" / "production" / "00000004.json").write_bytes(b"")
    assert three_versions["production"].version == "3.0"
    three_versions.set_alias("production", "1.0")
    assert three_versions["production"].version == "1.0"


def test_a_drive_without_links_keeps_aliases_too(three_versions, monkeypatch):
    def refuse(path, target):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    assert three_versions.rollback("production").version == "2.0"
    assert three_versions.verify().ok


def test_a_damaged_alias_is_told_and_hides_no_other(three_versions, tmp_path):
    three_versions.set_alias("best", "1.0")
    file = tmp_path / "churn" / "aliases" / "production" / "00000003.json"
    file.write_bytes(file.read_bytes().replace(b"3.0", b"1.0"))
    with pytest.raises(CorruptedModelError, match="'production' cannot be read"):
        three_versions["production"]
    assert three_versions.aliases == {"best": "1.0"}
    assert list(three_versions.verify().problems) == ["production"]
    assert repr(three_versions)


def test_many_threads_move_one_alias_and_no_move_is_lost(tmp_path):
    storage = LocalStorage(str(tmp_path))

    def move(name):
        for number in range(20):
            Aliases(storage).set("production", f"{name}.{number}")

    threads = [threading.Thread(target=move, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    moves = Aliases(storage).moves("production")
    assert len(moves) == 80
    after = [move.after for move in sorted(moves, key=lambda move: move.position)]
    assert sorted(after) == sorted(f"{name}.{number}" for name in "abcd" for number in range(20))
    by_position = sorted(moves, key=lambda move: move.position)
    assert [move.before for move in by_position] == [None, *after[:-1]]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.sampled_from(["1", "2", "3", "4"])),
        st.tuples(st.sampled_from(["back", "forward", "remove"]), st.just("")),
    ),
    max_size=25,
)


@given(STEPS)
@settings(deadline=None, max_examples=60)
def test_an_alias_goes_where_a_browser_with_two_buttons_goes(steps):
    aliases = Aliases(open_storage(f"memory://aliases/{next(_counter)}"))
    behind, current, ahead = [], None, []
    for step, version in steps:
        if step == "set" and version != current:
            behind, current, ahead = [*behind, current] if current else [], version, []
            aliases.set("a", version)
        elif step == "set":
            aliases.set("a", version)
        elif step == "remove":
            behind, current, ahead = [], None, []
            aliases.remove("a")
        else:
            source = behind[::-1] if step == "back" else ahead
            moves = next((n for n, one in enumerate(source) if one != current), None)
            if moves is None:
                with pytest.raises(VersionError):
                    aliases.step("a", lambda: {"1", "2", "3", "4"}, back=step == "back")
            else:
                line = [*behind, current, *ahead]
                place = len(behind) + (-moves - 1 if step == "back" else moves + 1)
                behind, current, ahead = line[:place], line[place], line[place + 1 :]
                aliases.step("a", lambda: {"1", "2", "3", "4"}, back=step == "back")
        assert aliases.current() == ({"a": current} if current else {})
        assert aliases.timeline("a").current == current


def test_a_timeline_passes_over_what_is_not_there():
    line = Timeline(("1", "2", "1", "3"), 3)
    assert line.back({"1"}) == 2
    assert line.back({"2"}) == 1
    assert line.back({"3"}) is None
    assert Timeline(("1", "2", "1"), 2).back({"1", "2"}) == 1
