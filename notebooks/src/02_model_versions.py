# %% [markdown]
# # 2 Keep every version of a model
#
# After this lesson you can
#
# - save versions of a model, compare them, and see what changed between two,
# - give the live one a name, such as *production*, and serve it,
# - go back to the version before, in one line.

# %%
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
wines, y = load_wine(return_X_y=True, as_frame=True)
X = wines[["alcohol", "flavanoids", "color_intensity", "proline"]]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, random_state=1)

def fit(trees, depth=None):
    model = RandomForestClassifier(trees, max_depth=depth, random_state=0).fit(X_train, y_train)
    accuracy, shares = model.score(X_test, y_test), model.predict_proba(X_test)
    return model, {"accuracy": accuracy, "log_loss": log_loss(y_test, shares)}

# %% [markdown]
# `fit(3)` gives a forest of three trees, and what we measured on wines that it has not seen.
#
# ## See it first
#
# Three lines: choose a folder, save, look.

# %%
from nbdeploy import ModelVersionControl

versions = ModelVersionControl("work/02/wine")
model, metrics = fit(trees=3)
versions.save_model_version(model, "1.0", metrics, description="three trees", example=X_train)
versions

# %% [markdown]
# A version is a model with a name, with what you measured, and with the day. Next month you will
# still know which model had which accuracy.
#
# ## Take it apart
#
# This is the class of the chapter (it forgets `_load_metadata` and `_save_metadata`; here they are).
# All versions are listed in one file, `model_metadata.json`. What happens when two people save?

# %% tags=["chapter"]
import json
import os
from datetime import datetime

from nbdeploy import ModelSerializer


class ChapterVersionControl:
    def __init__(self, base_path: str):
        self.base_path = base_path
        self.metadata_file = os.path.join(base_path, "model_metadata.json")
        self.metadata = self._load_metadata()

    def save_model_version(self, model, version, metrics, description=""):
        model_path = os.path.join(self.base_path, f"model_v{version}.joblib")
        ModelSerializer.save_model(model, model_path)
        self.metadata["versions"][version] = {
            "path": model_path,
            "metrics": metrics,
            "description": description,
            "created_at": datetime.now().isoformat(),
        }
        self._save_metadata()

    def get_model_version(self, version):
        if version in self.metadata["versions"]:
            return ModelSerializer.load_model(self.metadata["versions"][version]["path"])
        return None

    def _load_metadata(self):
        if not os.path.exists(self.metadata_file):
            return {"versions": {}}
        with open(self.metadata_file) as f:
            return json.load(f)

    def _save_metadata(self):
        with open(self.metadata_file, "w") as f:
            json.dump(self.metadata, f)

# %% [markdown]
# Ana and Ben open the same folder. Ana saves 1.0, then Ben saves 1.1. Which versions are there?

# %% tags=["nbval-check-output"]
def two_people_save(control, folder):
    ana, ben = control(folder), control(folder)
    ana.save_model_version(model, "1.0", metrics)
    ben.save_model_version(model, "1.1", metrics)
    later = control(folder)
    return [v for v in ("1.0", "1.1") if later.get_model_version(v) is not None]

print("chapter: ", two_people_save(ChapterVersionControl, "work/02/chapter"))
print("nbdeploy:", two_people_save(ModelVersionControl, "work/02/team"))

# %% [markdown]
# Ana's version is lost, and nobody got an error: Ben's list was older than Ana's save, and took its
# place. `nbdeploy` has the same class with the same calls, and no list. Each version is a folder of
# its own, which appears when it is complete:

# %% tags=["nbval-check-output"]
from pathlib import Path

for path in sorted(Path("work/02/wine/versions/1.0").iterdir()):
    print(path.relative_to("work/02/wine"))

# %% [markdown]
# ## A version never changes
#
# You run the cell with `save_model_version` again. The same model: nothing happens. *Another* model
# under the same name?

# %% tags=["raises-exception"]
other, other_metrics = fit(trees=100)
versions.save_model_version(other, "1.0", other_metrics, "a hundred trees", example=X_train)

# %% [markdown]
# It is refused. If `1.0` could change, "we tested 1.0" would mean nothing. A new model gets a new
# name:

# %%
versions.save_model_version(other, "1.1", other_metrics, "a hundred trees", example=X_train)
versions.compare()

# %% [markdown]
# The star marks the best. Of the accuracy more is better (↑), of the loss less (↓).
# `versions.compare().plot()` draws it. And what made the difference?

# %%
versions.diff("1.0", "1.1")

# %% [markdown]
# ## A name that moves
#
# Programs should not have to know that the good version is 1.1 today. They ask for *production*. An
# **alias** is a name that you point to a version, and later to another.

# %% tags=["nbval-check-output"]
import httpx2
from nbdeploy import deploy

def who_answers():
    row = {"features": X_test.iloc[0].to_dict()}
    return httpx2.post(f"{service.url}/predict", json=row).headers["X-Model-Version"]

for version in ("1.0", "1.1"):
    versions.set_alias("production", version, why=f"release of {version}")
    service = deploy(versions["production"], name="wine")
    print("production is", versions["production"].version, "and", who_answers(), "answers")

# %% [markdown]
# Every answer of the service says in a header, `X-Model-Version`, which version it came from. The
# second `deploy` changed the model behind the same address.
#
# ## Predict, then run
#
# Version 1.1 is slow, and we go back. After the *first* line of the next cell: which version
# answers?

# %% tags=["nbval-check-output"]
versions.rollback("production", why="1.1 is slow")
print("production is", versions["production"].version, "and", who_answers(), "answers")
service = deploy(versions["production"], name="wine")
print("production is", versions["production"].version, "and", who_answers(), "answers")

# %% [markdown]
# An alias is a sign on a door. Whoever is inside stays inside until you deploy again. (In exercise 2
# `service.rollout` and `service.rollback` move both at once.)
#
# `rollback` goes back one step each time, and `roll_forward` forward again. The moves are never
# forgotten:

# %%
versions.history("production")

# %% [markdown]
# ## Break it on purpose
#
# A disk loses some bytes of a version. Who notices, and when?

# %% tags=["raises-exception"]
broken = ModelVersionControl("work/02/broken")
saved = broken.save_model_version(model, "1.0", metrics)
with open(saved.path, "r+b") as f:
    f.seek(2000)
    f.write(b"oops")
print(broken.verify())
broken.get_model_version("1.0")

# %% [markdown]
# `verify` compares every byte with what was saved, and loads nothing. Loading does the same first.
#
# ## Two tasks
#
# **02.1** Fit a model with an accuracy of at least 0.95 on the test wines, and save it as version
# "2.0" with the metric `accuracy`. Let the alias "candidate" point to it. Then
# `check("02.1", versions)`.
#
# **02.2** Run the next cell: a colleague has released a bad model. Bring the version that was live
# before back, *as alias and as service*: `check("02.2", versions, service)`.

# %%
bad, bad_metrics = fit(trees=1, depth=1)
versions.save_model_version(bad, "1.2", bad_metrics, "very small!", example=X_train)
versions.set_alias("production", "1.2", why="so small")
service = deploy(versions["production"], name="wine")
versions

# %%
from nbdeploy.teach import check, hint

# Your turn. Mark the lines below and press Ctrl + / (Cmd + / on a Mac).

# check("02.1", versions)

# check("02.2", versions, service)

# %% [markdown]
# *One answer is in the folded cell below. `hint("02.1")` and `hint("02.2")` help before.*

# %% jupyter={"source_hidden": true}
best, best_metrics = fit(trees=300)
versions.save_model_version(best, "2.0", best_metrics, "300 trees", example=X_train)
versions.set_alias("candidate", "2.0")
check("02.1", versions)

versions.rollback("production", why="1.2 is bad")
service = deploy(versions["production"], name="wine")
check("02.2", versions, service)

# %% [markdown]
# ## In production
#
# - **MLflow**'s registry numbers versions by itself, keeps them in a database, and has aliases too.
# - **KServe** and **Triton** read a folder with a subfolder a version: the newest, or the ones you list.
# - Big teams keep versions in a bucket. Here too: `ModelVersionControl("s3://bucket/wine")`.
#
# ## Summary
#
# A version is saved whole or not at all, and never changes. An alias moves, and remembers where it
# was: that is the way back. What is live is decided by `deploy`.
#
# **Quiz**
#
# 1. Why is a version refused when its name is taken?
# <details><summary>Answer</summary>What was measured and tested under that name would be true of
# another model. <code>replace=True</code> does it, and keeps the old one.</details>
#
# 2. You roll `production` back. Do your users get other answers now?
# <details><summary>Answer</summary>Not before the service is deployed again: the alias is only a
# name.</details>
#
# 3. Two notebooks save at the same moment. What do you need so that nothing is lost?
# <details><summary>Answer</summary>No common file that both rewrite. A folder a version, which
# appears in one step.</details>

# %%
from nbdeploy import stop_all

stop_all()

# %% [markdown]
# **Next:** `03_rest_service` looks at the service itself; exercise 2 sends one part of the users to
# a new version, and measures which is better.
