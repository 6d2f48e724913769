# %% [markdown]
# # Exercise 2: versions, rollback and an A/B test
#
# *45 to 60 minutes, seven steps. You need lessons 1 to 3.*
#
# A station in Antarctica names penguins with your model. You have a better one. Is it really
# better? How do you bring it to the station without a single lost request, and how do you come
# back when it goes wrong?
#
# In each step, replace `...` by your code, run the cell, then run the check below it. Stuck?
# `hint("ex2.1")` gives a first nudge; ask again for more.

# %%
from palmerpenguins import load_penguins
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from nbdeploy import Client, ModelVersionControl, ServingError, deploy, stop_all
from nbdeploy.monitoring import sample_size
from nbdeploy.serving import Guard
from nbdeploy.teach import check, hint

penguins = load_penguins()
X, y = penguins.drop(columns="species"), penguins["species"]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, random_state=0)

# %% [markdown]
# Two models. The old one looks at the weight only, the new one at all measures and the island.

# %%
weight = make_column_transformer((SimpleImputer(), ["body_mass_g"]))
old = make_pipeline(weight, DecisionTreeClassifier(max_depth=2, random_state=0))
old.fit(X_train, y_train)

measures = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
numbers = make_pipeline(SimpleImputer(), StandardScaler())
columns = make_column_transformer((numbers, measures), (OneHotEncoder(), ["island"]))
new = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(X_train, y_train)

# %% [markdown]
# ## Step 1: keep both
#
# Make a `ModelVersionControl` in the folder `work/ex2/penguins`. Save `old` as version "1.0" and
# `new` as version "1.1", each with its accuracy on the test data as the metric `accuracy`, and with
# `example=X_train`. Then point the alias "production" to "1.0".

# %%
# solution
versions = ModelVersionControl("work/ex2/penguins")
for model, name in ((old, "1.0"), (new, "1.1")):
    accuracy = model.score(X_test, y_test)
    versions.save_model_version(model, name, {"accuracy": accuracy}, example=X_train)
versions.set_alias("production", "1.0")

# %%
check("ex2.1", versions)
versions

# %% [markdown]
# ## Step 2: the way back
#
# On Friday somebody points "production" to "1.1". On Saturday the station calls: go back! Do both,
# and tell the history why (`why=...`). Do not simply set the alias again: an alias knows its way
# back.

# %%
# solution
versions.set_alias("production", "1.1", why="better on the test data")
versions.rollback("production", why="the station called")
versions.history("production")

# %%
check("ex2.2", versions)

# %% [markdown]
# ## Step 3: live, without a lost request
#
# Deploy the version behind "production" as `service`, under the name "penguins". Roll out version
# "1.1" and predict a penguin of `X_test` with it. Then bring the traffic of before back.

# %%
# solution
service = deploy(versions["production"], name="penguins")
service.rollout("1.1")
print(service.predict(X_test.head(1)).tolist())
service.rollback()

# %%
check("ex2.3", service)

# %% [markdown]
# ## Step 4: who gets which version?
#
# In an A/B test one caller must always get the same version. Write the function that chooses:
#
# - `choose("station 7", {"1.0": 0.9, "1.1": 0.1})` gives "1.0" or "1.1";
# - of very many keys, the share of each version is its weight;
# - the same key gives the same version, in every process and for ever. Careful: Python's own
#   `hash()` of a text is another one in every process!
# - when the weight of the last version grows, its keys stay with it.

# %%
import hashlib


def choose(key, weights):
    # solution
    digest = hashlib.sha256(key.encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    for version, weight in weights.items():
        if place < weight:
            return version
        place -= weight
    return version


# %%
check("ex2.4", choose)

# %% [markdown]
# ## Step 5: how long must the test run?
#
# Before you start: the old model names 75 % of the penguins right. You want to see a difference of
# 15 points, with a power of 90 %. How many penguins does each version need? `sample_size` knows.

# %%
# solution
needed = sample_size(0.75, 0.15, power=0.90)

# %%
check("ex2.5", needed)
needed

# %% [markdown]
# ## Step 6: the A/B test
#
# The stations ask below, each with its name in the header `X-Station`. A day later somebody looks at
# each penguin again and sends the truth. This function plays both:

# %%
def stations_ask(service, count, **changed):
    """Let penguins come by 40 stations; predict each, and tell the truth about it later."""
    failed = 0
    with Client(service.url) as client:
        for number, index in enumerate(X_test.sample(count, replace=True, random_state=0).index):
            penguin = X_test.loc[[index]].assign(**changed)
            station = {"X-Station": f"station {number * 7 % 40}"}
            try:
                _, prediction_id = client.predict(penguin, with_id=True, headers=station)
                client.feedback(prediction_id, y[index])
            except ServingError:
                failed += 1
    return failed


# %% [markdown]
# Give each version half of the traffic, so that a station always gets the same version. Let the
# stations ask until each version has the truth about `needed` penguins: `stations_ask(service, 100)`
# lets 100 come by. Then read `service.compare()` and write down who wins: `winner = "1.0"` or "1.1".

# %%
# solution
service.split({"1.0": 0.5, "1.1": 0.5}, key="X-Station")
stations_ask(service, 400)
winner = "1.1"
service.compare()

# %%
check("ex2.6", service, winner)

# %% [markdown]
# `compare()` shows two intervals. The narrower one holds for who looks *once*, after the number of
# penguins that was chosen before. The wider one holds whenever you look, however often. Which one
# may you read every morning?

# %% [markdown]
# ## Step 7: step by step, under guard
#
# The winner takes everything. Then a colleague brings version 1.2, with an accuracy as good:

# %%
seasons = (OneHotEncoder(), ["island", "year"])
columns = make_column_transformer((numbers, measures), seasons)
newest = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(X_train, y_train)
accuracy = newest.score(X_test, y_test)
print(f"accuracy of 1.2: {accuracy:.1%}")
if ... not in (versions, service):  # steps 1 and 3 made them
    service.rollout("1.1", alias="production")
    versions.save_model_version(newest, "1.2", {"accuracy": accuracy}, example=X_train)

# %% [markdown]
# It passes every test, and yet something is wrong with it: the data end in 2009, and the stations
# ask in 2010. Roll out "1.2" in the steps 20 %, 50 % and 100 %, with a guard that sends it back when
# more than 5 % of at least 20 requests fail. Keep what `rollout` gives you as `rollout`. Then let
# the stations ask about 150 penguins of 2010: `stations_ask(service, 150, year=2010)`.

# %%
# solution
guard = Guard(max_error_rate=0.05, min_requests=20)
rollout = service.rollout("1.2", steps=[0.2, 0.5, 1], guard=guard)
failed = stations_ask(service, 150, year=2010)
print(failed, "of 150 requests failed")
rollout

# %%
check("ex2.7", service, rollout)

# %% [markdown]
# A few requests failed, and nobody had to be woken up. What would have happened without steps? And
# what should the model have said to a year that it does not know?
#
# ## Clean up

# %%
stop_all()
