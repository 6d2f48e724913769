"""The models that are compiled, fitted once: a name, the model, its features and its target."""

from functools import cache

import numpy as np
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import (
    ElasticNet,
    ElasticNetCV,
    Lasso,
    LassoCV,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.svm import LinearSVC, LinearSVR
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

from nbdeploy.models.compiled import CompiledModel, compile_model
from nbdeploy.models.signature import Signature

IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
CANCER, MALIGNANT = load_breast_cancer(return_X_y=True)
HOLES = np.where(np.random.default_rng(0).random(IRIS.shape) < 0.1, np.nan, IRIS)
TWO = NAMES[:100]
PETALS = IRIS[:, 2] + IRIS[:, 3] ** 2
BOTH = IRIS[:, 2:] * [1.0, -3.0]
CODES = np.c_[np.arange(150) % 7, IRIS[:, 1], np.arange(150) % 3, IRIS[:, 3]]


LINEAR = {
    "logistic, three classes": (LogisticRegression(max_iter=500), IRIS, NAMES),
    "logistic, two classes": (LogisticRegression(), IRIS[:100], TWO),
    "logistic, thirty features": (LogisticRegression(max_iter=50), CANCER, MALIGNANT),
    "logistic, liblinear": (LogisticRegression(solver="liblinear"), IRIS[:100], TWO),
    "logistic, no intercept": (LogisticRegression(fit_intercept=False), IRIS, SPECIES),
    "logistic CV": (LogisticRegressionCV(Cs=2, cv=2, max_iter=50), IRIS, NAMES),
    "ridge classifier": (RidgeClassifier(), IRIS, NAMES),
    "ridge classifier, two classes": (RidgeClassifier(), IRIS[:100], TWO),
    "ridge classifier CV": (RidgeClassifierCV(), IRIS, SPECIES),
    "SGD, hinge": (SGDClassifier(random_state=0), IRIS, NAMES),
    "SGD, log loss": (SGDClassifier(loss="log_loss", random_state=0), IRIS, NAMES),
    "SGD, log loss, two": (SGDClassifier(loss="log_loss", random_state=0), IRIS[:100], TWO),
    "SGD, Huber": (SGDClassifier(loss="modified_huber", random_state=0), IRIS, NAMES),
    "SGD, Huber, two": (SGDClassifier(loss="modified_huber", random_state=0), IRIS[:100], TWO),
    "perceptron": (Perceptron(random_state=0), IRIS, NAMES),
    "linear SVC": (LinearSVC(random_state=0), IRIS, NAMES),
    "linear SVC, two classes": (LinearSVC(random_state=0), IRIS[:100], TWO),
    "linear SVR": (LinearSVR(random_state=0), IRIS, PETALS),
    "least squares": (LinearRegression(), IRIS, PETALS),
    "least squares, two outputs": (LinearRegression(), IRIS, BOTH),
    "least squares, one column": (LinearRegression(), IRIS, PETALS.reshape(-1, 1)),
    "ridge": (Ridge(), IRIS, PETALS),
    "ridge, two outputs": (Ridge(), IRIS, BOTH),
    "ridge CV": (RidgeCV(), IRIS, PETALS),
    "lasso": (Lasso(0.1), IRIS, PETALS),
    "lasso, two outputs": (Lasso(0.1), IRIS, BOTH),
    "lasso CV": (LassoCV(cv=2, random_state=0), IRIS, PETALS),
    "elastic net": (ElasticNet(0.1), IRIS, PETALS),
    "elastic net CV": (ElasticNetCV(cv=2, random_state=0), IRIS, PETALS),
    "SGD regressor": (SGDRegressor(random_state=0), IRIS, PETALS),
}
TREES = {
    "tree": (DecisionTreeClassifier(random_state=0), IRIS, NAMES),
    "tree, missing values": (DecisionTreeClassifier(random_state=0), HOLES, NAMES),
    "tree, best first": (DecisionTreeClassifier(max_leaf_nodes=5, random_state=0), IRIS, NAMES),
    "tree, pruned": (DecisionTreeClassifier(ccp_alpha=0.01, random_state=0), IRIS, NAMES),
    "tree, only a leaf": (DecisionTreeClassifier(max_depth=1), IRIS, np.ones(150)),
    "tree regressor": (DecisionTreeRegressor(random_state=0), IRIS, PETALS),
    "tree regressor, two outputs": (DecisionTreeRegressor(random_state=0), IRIS, BOTH),
    "extra tree": (ExtraTreeClassifier(random_state=0), IRIS, NAMES),
    "extra tree regressor": (ExtraTreeRegressor(random_state=0), IRIS, PETALS),
    "forest": (RandomForestClassifier(10, random_state=0), CANCER, MALIGNANT),
    "forest, three classes": (RandomForestClassifier(7, random_state=0), IRIS, NAMES),
    "forest, missing values": (RandomForestClassifier(10, random_state=0), HOLES, NAMES),
    "forest of one": (RandomForestClassifier(1, random_state=0), IRIS, NAMES),
    "forest regressor": (RandomForestRegressor(10, random_state=0), IRIS, PETALS),
    "forest, large trees": (RandomForestRegressor(10, random_state=0), CANCER, CANCER[:, 0]),
    "forest regressor, two outputs": (RandomForestRegressor(10, random_state=0), IRIS, BOTH),
    "extra trees": (ExtraTreesClassifier(10, random_state=0), IRIS, NAMES),
    "extra trees regressor": (ExtraTreesRegressor(10, random_state=0), IRIS, PETALS),
    "boosting": (GradientBoostingClassifier(n_estimators=10), CANCER, MALIGNANT),
    "boosting, three classes": (GradientBoostingClassifier(n_estimators=5), IRIS, NAMES),
    "boosting, exponential": (
        GradientBoostingClassifier(loss="exponential", n_estimators=10),
        IRIS[:100],
        TWO,
    ),
    "boosting from zero": (GradientBoostingClassifier(init="zero", n_estimators=9), IRIS, NAMES),
    "boosting regressor": (GradientBoostingRegressor(n_estimators=10), IRIS, PETALS),
    "boosting quantiles": (
        GradientBoostingRegressor(loss="quantile", n_estimators=10),
        IRIS,
        PETALS,
    ),
    "histograms": (HistGradientBoostingClassifier(max_iter=10), CANCER, MALIGNANT),
    "histograms, three classes": (HistGradientBoostingClassifier(max_iter=5), IRIS, NAMES),
    "histograms, missing values": (HistGradientBoostingClassifier(max_iter=10), HOLES, NAMES),
    "histograms, categories": (
        HistGradientBoostingClassifier(
            max_iter=10, categorical_features=[0, 2], min_samples_leaf=3
        ),
        CODES,
        NAMES,
    ),
    "histogram regressor": (HistGradientBoostingRegressor(max_iter=10), IRIS, PETALS),
    "histograms, large trees": (
        HistGradientBoostingRegressor(max_leaf_nodes=None, min_samples_leaf=1, max_iter=5),
        CANCER,
        CANCER[:, 0],
    ),
    "boosting, large trees": (
        GradientBoostingRegressor(max_depth=None, n_estimators=5),
        CANCER,
        CANCER[:, 0],
    ),
    "histogram Poisson": (
        HistGradientBoostingRegressor(loss="poisson", max_iter=10),
        IRIS,
        PETALS,
    ),
}
MODELS = LINEAR | TREES


@cache
def fitted(name):
    model, X, y = MODELS[name]
    model.fit(X, y)
    signature = Signature.learn(model, X)
    compiled = compile_model(model, signature)
    assert isinstance(compiled, CompiledModel), compiled
    return model, signature, compiled, X
