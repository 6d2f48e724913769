# %% [markdown]
# # Exercise 5: an ensemble of several models
#
# *45 to 60 minutes, six steps. You need lessons 1 to 3.*
#
# Three models name penguins, and each has its own weakness. Can they be better together? What does
# the station see when one of them fails, or takes too long?
#
# In each step, replace `...` by your code, run the cell, then run the check below it. Stuck?
# `hint("ex5.1")` gives a first nudge; ask again for more.

# %%
import time

import numpy as np
from palmerpenguins import load_penguins
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from nbdeploy import Ensemble, ModelVersionControl, deploy, stop_all
from nbdeploy.teach import check, hint

penguins = load_penguins()
measures = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
X, y = penguins[measures], penguins["species"]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, random_state=0)

# %% [markdown]
# Three models, each fitted on columns of its own:

# %%
bill, body = measures[:2], measures[2:]
tree = make_pipeline(SimpleImputer(), DecisionTreeClassifier(max_depth=3, random_state=0))
tree.fit(X_train[bill], y_train)
line = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
line.fit(X_train[measures], y_train)
near = make_pipeline(SimpleImputer(), StandardScaler(), KNeighborsClassifier(5))
near.fit(X_train[body], y_train)

# %% [markdown]
# ## Step 1: align the classes
#
# Before you use the library's ensemble, build its heart. Two members give probabilities, each in
# the order of *its own* classes. Write `soft_vote(members)`: it takes a list of pairs
# `(classes, probabilities)` for one row and gives a dict from class to mean probability. A class
# that a member never saw has the probability 0 in its eyes.

# %%
def soft_vote(members):
    # solution
    every = sorted({label for classes, _ in members for label in classes})
    shares = [dict(zip(classes, probabilities)) for classes, probabilities in members]
    return {label: sum(each.get(label, 0) for each in shares) / len(members) for label in every}


# %%
check("ex5.1", soft_vote)

# %% [markdown]
# ## Step 2: one model out of three
#
# Make an `Ensemble` of `tree`, `line` and `near` under these names, with a soft vote. Call it
# `ensemble`. Each member gets the columns that it was fitted on: which does the ensemble need?

# %%
# solution
ensemble = Ensemble({"tree": tree, "line": line, "near": near})

# %%
check("ex5.2", ensemble)
print(f"tree {tree.score(X_test[bill], y_test):.1%}, near {near.score(X_test[body], y_test):.1%}")
print(f"together {np.mean(ensemble.predict(X_test) == y_test):.1%}")

# %% [markdown]
# ## Step 3: cheap first
#
# Most penguins are easy. Make a cascade, `cascade`: `tree` first, `line` only for the rows of which
# `tree` is less than 95 % sure. Then predict `X_test` with it and read in `cascade.log.report()` how
# many rows `line` was asked.

# %%
# solution
cascade = Ensemble({"tree": tree, "line": line}, "cascade", threshold=0.95)
right = np.mean(cascade.predict(X_test) == y_test)
print(f"{right:.1%}", {name: facts["rows"] for name, facts in cascade.log.report().items()})

# %%
check("ex5.3", cascade)

# %% [markdown]
# ## Step 4: a member fails, another is late
#
# Two members from another team join. One raises, one needs half a minute:

# %%
def broken(rows):
    raise ConnectionError("the other team restarts its server")


def slow(rows):
    time.sleep(30)
    return ["Adelie"] * len(rows)


# %% [markdown]
# Deploy an ensemble of `tree`, `line`, `broken` and `slow` (under these names) as `service`, with
# the name "penguins" and `example=X_train`. The station waits half a second for its members, no
# longer, and does not want to hear of a member that is missing. Predict a few penguins, and look at
# the card: who is to blame?

# %%
# solution
members = {"tree": tree, "line": line, "broken": broken, "slow": slow}
service = deploy(Ensemble(members, deadline=0.5), name="penguins", example=X_train)
service.predict(X_test.head())

# %%
check("ex5.4", service)

# %% [markdown]
# ## Step 5: let a model decide
#
# A stack learns how far each member can be trusted. Make `stack` of `tree`, `line` and `near` with
# a `LogisticRegression` as its final model, and fit that one. On which rows? The members have seen
# `X_train`: of those rows they are too sure. Take the first half of the test data, and keep the
# second half for the score.

# %%
half = len(X_test) // 2
# solution
stack = Ensemble(
    {"tree": tree, "line": line, "near": near}, "stack", final=LogisticRegression(max_iter=1000)
)
stack.fit_final(X_test[:half], y_test[:half])

# %%
check("ex5.5", stack)
print(f"the stack: {np.mean(stack.predict(X_test[half:]) == y_test[half:]):.1%}")

# %% [markdown]
# ## Step 6: a version like any other
#
# Save `ensemble` as version "1.0" and `stack` as version "1.1" in a `ModelVersionControl` in the
# folder `work/ex5/penguins`, both with `example=X_train`. Point the alias "production" to "1.0", then
# to "1.1", then roll it back.

# %%
# solution
versions = ModelVersionControl("work/ex5/penguins")
for name, model in (("1.0", ensemble), ("1.1", stack)):
    versions.save_model_version(model, name, {}, example=X_train)
versions.set_alias("production", "1.0")
versions.set_alias("production", "1.1", why="it learns whom to trust")
versions.rollback("production", why="the stack needs more data")

# %%
check("ex5.6", versions)

# %% [markdown]
# One file holds all members, each in the format of its own library. Which members would you give a
# deadline, and which would you rather wait for?
#
# ## Clean up

# %%
stop_all()
