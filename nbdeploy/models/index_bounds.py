"""Whether the trees of a model stay inside of themselves.

Compiled code of scikit-learn follows the indices in a tree without looking. Fitted trees are
sound; those in a file from anybody may point anywhere, and predicting would read foreign memory,
crash, or never end. Here every index is looked at once, before the model is used.
"""

from __future__ import annotations

import gc
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["unsound_parts"]

_LEAF = -1
_NOT_DATA = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)


def unsound_parts(model: Any) -> list[str]:
    """Return what is wrong with the trees of a model; nothing for a sound one.

    Parameters
    ----------
    model
        A scikit-learn model that was loaded and not used yet.
    """
    faults = ((part, fault) for part in _objects(model) for fault in _faults(part))
    return [f"{type(part).__name__} {fault}" for part, fault in faults]


def _faults(part: Any) -> list[str]:
    try:
        return list(_found(part))
    except Exception as error:  # noqa: BLE001 -- any nonsense may stand where arrays belong
        return [f"cannot be checked ({type(error).__name__}: {error})"]


def _found(part: Any) -> Iterator[str]:
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 -- heavy import
    from sklearn.ensemble._forest import BaseForest  # noqa: PLC0415 -- heavy import
    from sklearn.ensemble._gb import BaseGradientBoosting  # noqa: PLC0415 -- heavy import
    from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import (  # noqa: PLC0415 -- heavy import
        BaseHistGradientBoosting,
    )
    from sklearn.neighbors import BallTree, KDTree  # noqa: PLC0415 -- heavy import
    from sklearn.tree import BaseDecisionTree  # noqa: PLC0415 -- heavy import
    from sklearn.tree._tree import Tree  # noqa: PLC0415 -- heavy import

    if isinstance(part, Tree) and not _is_sound_tree(part):
        yield "has nodes that point outside of it"
    elif isinstance(part, BaseDecisionTree) and not _has_width(part, part):
        yield "takes other rows than its tree"
    # These hand rows to the trees without looking at their width again.
    elif isinstance(part, BaseForest | BaseGradientBoosting | IsolationForest):
        if not all(_has_width(member, part) for member in _members(part)):
            yield "takes other rows than its trees"
    elif isinstance(part, BaseHistGradientBoosting):
        if not all(_is_sound_predictor(tree, part) for tree in _predictors(part)):
            yield "has nodes that point outside of their tree"
    elif isinstance(part, KDTree | BallTree) and not _is_sound_partition(part):
        yield "has nodes that point outside of it"


def _objects(root: Any) -> Iterator[Any]:
    """Yield every object that a model holds, each once."""
    seen = {id(root): root}
    waiting = [root]
    while waiting:
        value = waiting.pop()
        yield value
        # Arrays do not tell the garbage collector what they hold.
        inner = value.ravel().tolist() if _holds_objects(value) else gc.get_referents(value)
        for part in inner:
            if id(part) not in seen and not isinstance(part, _NOT_DATA):
                seen[id(part)] = part
                waiting.append(part)


def _holds_objects(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == object


def _members(ensemble: Any) -> list[Any]:
    members = getattr(ensemble, "estimators_", [])
    return list(members.ravel().tolist() if isinstance(members, np.ndarray) else members)


def _predictors(booster: Any) -> list[Any]:
    return [tree for stage in getattr(booster, "_predictors", []) for tree in stage]


def _has_width(estimator: Any, owner: Any) -> bool:
    tree = getattr(estimator, "tree_", None)
    return tree is None or tree.n_features == getattr(owner, "n_features_in_", None)


def _is_sound_tree(tree: Any) -> bool:
    # Reading the nodes of a tree that claims more than it has would itself leave its memory.
    if not 1 <= tree.node_count <= tree.capacity:
        return False
    is_inner = tree.children_left != _LEAF
    return _are_descendants(tree.children_left, tree.children_right, is_inner) and _are_within(
        tree.feature[is_inner], tree.n_features
    )


def _is_sound_predictor(predictor: Any, owner: Any) -> bool:
    # Compiled code sees the data of an array, whatever a subclass of arrays makes of it.
    nodes = np.asarray(predictor.nodes)
    bitsets = np.asarray(predictor.raw_left_cat_bitsets)
    is_inner = nodes["is_leaf"] == 0
    is_categorical = is_inner & (nodes["is_categorical"] != 0)
    width = getattr(owner, "n_features_in_", 0)
    return bool(
        len(nodes)
        and _are_descendants(nodes["left"], nodes["right"], is_inner)
        and _are_within(nodes["feature_idx"][is_inner], width)
        and _are_within(nodes["bitset_idx"][is_categorical], len(bitsets))
        and (not is_categorical.any() or _knows_categories(owner, width))
    )


def _knows_categories(owner: Any, width: int) -> bool:
    flags = getattr(getattr(owner, "_bin_mapper", None), "is_categorical_", None)
    return flags is not None and len(flags) == width


def _is_sound_partition(tree: Any) -> bool:
    """Check a k-d tree or a ball tree: node ``i`` has the children ``2i + 1`` and ``2i + 2``."""
    state = tree.__getstate__()
    data, order, nodes, bounds = map(np.asarray, state[:4])
    n_nodes, weights = state[6], state[12]
    is_inner = nodes["is_leaf"] == 0
    last_child = 2 * np.flatnonzero(is_inner) + 2
    return bool(
        data.ndim == 2  # noqa: PLR2004 -- rows and columns
        and bounds.shape[1:] == (len(nodes), data.shape[1])
        and len(bounds) == (1 if type(tree).__name__.startswith("Ball") else 2)
        and 1 <= len(nodes) == n_nodes
        and len(order) == len(data)
        and (weights is None or len(weights) == len(data))
        and _are_within(order, len(data))
        and _are_within(last_child, len(nodes))
        and _are_within(nodes["idx_start"], len(data) + 1)
        and _are_within(nodes["idx_end"], len(data) + 1)
    )


def _are_descendants(
    left: npt.NDArray[Any], right: npt.NDArray[Any], is_inner: npt.NDArray[np.bool_]
) -> bool:
    """Check that children exist and come after their parents: no walk down can go in circles."""
    parents = np.flatnonzero(is_inner)
    return all(
        bool(np.all(child[is_inner] > parents)) and _are_within(child[is_inner], len(child))
        for child in (left, right)
    )


def _are_within(indices: npt.NDArray[Any], size: int) -> bool:
    return bool(np.all((indices >= 0) & (indices < size)))
