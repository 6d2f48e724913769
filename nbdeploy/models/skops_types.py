"""The types that a skops file from anybody may hold, beyond those that skops itself trusts.

A skops file names types, and loading makes objects of them without running code of the file. A
type belongs here when making one, giving it any state, and predicting with it runs nothing but
numerical code of scikit-learn, NumPy and SciPy. Functions and types that call what they are given
(`functools.partial`, user functions) do not belong here.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["REVIEWED", "unreviewed"]

# Trees hold indices of nodes and features that compiled code follows unchecked. A crafted file
# could send it anywhere, so these are accepted only after `index_bounds` has looked at them.
_INDEXED = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
)

# Distances between points of equal length. Those with vectors of their own (Minkowski with
# weights, Mahalanobis, ...) read them unchecked, PyFuncDistance calls a function: not here.
_DISTANCES = tuple(
    f"sklearn.metrics._dist_metrics.{name}Distance{bits}"
    for name in ("Euclidean", "Manhattan", "Chebyshev")
    for bits in (32, 64)
)

# Plain objects with a few numbers, whose methods are formulas.
_KERNELS = tuple(
    f"sklearn.gaussian_process.kernels.{name}"
    for name in (
        "CompoundKernel", "ConstantKernel", "DotProduct", "ExpSineSquared", "Exponentiation",
        "Matern", "Product", "RationalQuadratic", "RBF", "Sum", "WhiteKernel",
    )
)  # fmt: skip
_LOSSES = (
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
)

# What a fitted estimator keeps of its training; plain objects, unused or linear at prediction.
_PARTS = (
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.cluster._bisect_k_means._BisectingTree",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.utils._bunch.Bunch",
)

# How a search or a selection was done. They run when fitted again, on the arrays given then.
_SEARCHES = (
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.model_selection._split.GroupKFold",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.RepeatedKFold",
    "sklearn.model_selection._split.RepeatedStratifiedKFold",
    "sklearn.model_selection._split.ShuffleSplit",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.model_selection._split.StratifiedShuffleSplit",
    "sklearn.model_selection._split.TimeSeriesSplit",
)

# Pure functions of arrays.
_FUNCTIONS = tuple(
    f"sklearn.feature_selection.{name}"
    for name in (
        "_univariate_selection.chi2", "_univariate_selection.f_classif",
        "_univariate_selection.f_regression", "_mutual_info.mutual_info_classif",
        "_mutual_info.mutual_info_regression",
    )
)  # fmt: skip

# skops writes a dtype as an empty array without objects; a spline is three arrays.
_NUMERICAL = ("numpy.dtype", "scipy.interpolate._bsplines.BSpline")

REVIEWED = frozenset(
    (
        *_INDEXED,
        *_DISTANCES,
        *_KERNELS,
        *_LOSSES,
        *_PARTS,
        *_SEARCHES,
        *_FUNCTIONS,
        *_NUMERICAL,
    )
)


def unreviewed(types: Iterable[str]) -> list[str]:
    """Return the types that need somebody's trust.

    Examples
    --------
    >>> unreviewed(["sklearn.tree._tree.Tree", "churn.model.Scaler"])
    ['churn.model.Scaler']
    """
    return sorted(set(types) - REVIEWED)
