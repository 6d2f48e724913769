"""Sums of leaves found by masks: those in which a walk through each tree ends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.tree._tree import NODE_DTYPE

from nbdeploy.models.compiled.leaf_masks import LeafMasks
from nbdeploy.models.compiled.outcomes import Unsupported

THRESHOLDS = [3, 1, 0, 5]


def tree_of(random, leaves):
    """Nodes of a tree that splits a leaf drawn at random, until it has so many."""
    nodes = np.zeros(2 * leaves - 1, dtype=NODE_DTYPE)
    nodes["left_child"] = nodes["right_child"] = -1
    ends, used = [0], 1
    while len(ends) < leaves:
        node = ends.pop(random.integers(len(ends)))
        feature = random.choice([0, 1, 3])
        nodes["feature"][node] = feature
        nodes["threshold"][node] = random.integers(THRESHOLDS[feature]) + 0.5
        nodes["missing_go_to_left"][node] = random.integers(2)
        nodes["left_child"][node], nodes["right_child"][node] = used, used + 1
        ends += [used, used + 1]
        used += 2
    return nodes


def walk(nodes, values, row):
    node = 0
    while nodes["left_child"][node] != -1:
        feature = nodes["feature"][node]
        is_missing = row[feature] > THRESHOLDS[feature]
        goes_left = row[feature] <= nodes["threshold"][node]
        if is_missing:
            goes_left = nodes["missing_go_to_left"][node]
        node = nodes["left_child" if goes_left else "right_child"][node]
    return values[node]


def ensemble(seed, leaves, stages, outputs):
    random = np.random.default_rng(seed)
    trees = [tree_of(random, random.integers(1, leaves + 1)) for _ in range(stages * outputs)]
    values = [random.normal(size=len(nodes)) for nodes in trees]
    return random, trees, values


@given(
    seed=st.integers(0, 2**32 - 1),
    leaves=st.sampled_from([1, 8, 9, 33, 64]),
    stages=st.integers(1, 5),
    outputs=st.integers(1, 3),
    count=st.integers(1, 20),
)
def test_the_sums_are_those_of_a_walk(seed, leaves, stages, outputs, count):
    random, trees, values = ensemble(seed, leaves, stages, outputs)
    codes = np.stack([random.integers(0, most + 2, count) for most in THRESHOLDS], axis=1)
    masks = LeafMasks(trees, values, THRESHOLDS, outputs=outputs)
    masks.rows_at_once = 7

    expected = np.zeros((count, outputs))
    for number, (nodes, held) in enumerate(zip(trees, values, strict=True)):
        found = [walk(nodes, held, row) for row in codes]
        stage = slice(number % outputs, number % outputs + 1)
        # The first stage is where the sum begins.
        expected[:, stage] += np.array(found)[:, np.newaxis]

    assert masks.sums(codes).tolist() == expected.tolist()


def test_leaves_may_hold_several_numbers():
    random, trees, _ = ensemble(0, 20, 9, 1)
    codes = np.stack([random.integers(0, most + 2, 50) for most in THRESHOLDS], axis=1)
    values = [random.normal(size=(len(nodes), 3)) for nodes in trees]

    expected = np.zeros((50, 3))
    for nodes, held in zip(trees, values, strict=True):
        expected += [walk(nodes, held, row) for row in codes]

    assert LeafMasks(trees, values, THRESHOLDS, outputs=3).sums(codes).tolist() == expected.tolist()


def test_a_sum_of_nothing_but_minus_zero_is_zero():
    trees = [tree_of(np.random.default_rng(0), 2)] * 3
    masks = LeafMasks(trees, [np.full(3, -0.0)] * 3, THRESHOLDS)

    assert str(masks.sums(np.zeros((1, 4), dtype=np.intp)).item()) == "0.0"


def test_the_sums_are_the_same_without_what_numpy_2_brought(monkeypatch):
    random, trees, values = ensemble(0, 64, 6, 1)
    codes = np.stack([random.integers(0, most + 2, 300) for most in THRESHOLDS], axis=1)
    masks = LeafMasks(trees, values, THRESHOLDS)
    expected = masks.sums(codes)
    monkeypatch.delattr(np, "bitwise_count", raising=False)

    assert masks.sums(codes).tolist() == expected.tolist()


def test_trees_with_more_leaves_than_bits_do_not_fit():
    random = np.random.default_rng(0)
    small, large = tree_of(random, 64), tree_of(random, 65)

    assert LeafMasks.fit([small], THRESHOLDS)
    assert not LeafMasks.fit([small, large], THRESHOLDS)


@pytest.mark.parametrize(
    "thresholds", [[1] * 33, [10**6] * 8], ids=["longer to read than a walk", "too large a table"]
)
def test_masks_that_are_slower_than_a_walk_do_not_fit(thresholds):
    trees = [tree_of(np.random.default_rng(0), 64)]

    assert not LeafMasks.fit(trees, thresholds)


def test_nodes_that_lead_nowhere_are_refused():
    nodes = tree_of(np.random.default_rng(0), 5)
    nodes["left_child"][0] = 0

    with pytest.raises(Unsupported, match="not stored as expected"):
        LeafMasks([nodes], [np.zeros(len(nodes))], THRESHOLDS)
