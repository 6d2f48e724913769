# %% [markdown]
# # 1 Save a model, and load it
#
# After this lesson you can say
#
# - why a saved model is a program, and whose files you may load,
# - what a manifest protects you from,
# - which format to use when.

# %%
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier

X, y = load_wine(return_X_y=True, as_frame=True)
model = RandomForestClassifier(n_estimators=30, random_state=0).fit(X, y)

# %% [markdown]
# ## See it first
#
# Three lines: save, load, ask. Does the loaded model give the same answers?

# %% tags=["nbval-check-output"]
from nbdeploy import ModelSerializer

ModelSerializer.save_model(model, "work/01/wine.joblib", example=X)
restored = ModelSerializer.load_model("work/01/wine.joblib")
print((restored.predict(X) == model.predict(X)).sum(), "of", len(X), "answers are the same")

# %% [markdown]
# It does, for every wine. A saved model is what moves from your notebook to a server.
#
# ## Take it apart
#
# This is the class of the chapter. It is short. Read it: what could go wrong in each line?

# %% tags=["chapter"]
import os
import pickle
from typing import Any

import joblib


class ChapterSerializer:
    @staticmethod
    def save_model(model: Any, path: str, format: str = "joblib"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if format == "joblib":
            joblib.dump(model, path)
        elif format == "pickle":
            with open(path, "wb") as f:
                pickle.dump(model, f)
        else:
            raise ValueError(f"Unsupported format: {format}")

    @staticmethod
    def load_model(path: str, format: str = "joblib") -> Any:
        if format == "joblib":
            return joblib.load(path)
        elif format == "pickle":
            with open(path, "rb") as f:
                return pickle.load(f)
        else:
            raise ValueError(f"Unsupported format: {format}")


# %% [markdown]
# The first fault shows itself when the path has no folder:

# %% tags=["raises-exception"]
ChapterSerializer.save_model(model, "wine.joblib")

# %% [markdown]
# The folder of `"wine.joblib"` is the empty text, and no folder has that name. `nbdeploy` has the
# same class with the same calls, and this one works: you used it above.
#
# The second fault is worse, and it is silent.
#
# ## A pickle is a program
#
# A pickle file is a list of orders: *import this, call that*. Whoever wrote the file chose the
# orders. What do you expect when we save and load this object?

# %% tags=["nbval-check-output"]
class Surprise:
    def __reduce__(self):
        return print, ("I ran while you loaded me!",)


ChapterSerializer.save_model(Surprise(), "work/01/surprise.joblib")
ChapterSerializer.load_model("work/01/surprise.joblib")

# %% [markdown]
# `print` was called before you had a model in your hands. It could have been a call that deletes
# your files. Checking the model *after* loading is too late.
#
# What does `nbdeploy` do with the same file?

# %% tags=["raises-exception"]
ModelSerializer.load_model("work/01/surprise.joblib")

# %% [markdown]
# It refuses, and nothing ran. It read the list of orders without obeying, and found `print` there.
#
# Why did it load *your* file without a question? Because of the manifest: the file
# `wine.joblib.manifest.json`, which was written beside it.
#
# ## What is in a manifest?

# %%
ModelSerializer.inspect("work/01/wine.joblib")

# %% [markdown]
# The *digest* is a fingerprint of the file: change one byte, and it is another. The manifest keeps
# it, signed with a key that only you have. So `nbdeploy` knows what you saved.
#
# ## Break it on purpose
#
# A disk loses one byte. Will you notice?

# %% tags=["raises-exception"]
from pathlib import Path

ModelSerializer.save_model(model, "work/01/broken.joblib")
data = bytearray(Path("work/01/broken.joblib").read_bytes())
data[len(data) // 2] ^= 1
Path("work/01/broken.joblib").write_bytes(data)
ModelSerializer.load_model("work/01/broken.joblib")

# %% [markdown]
# Yes. With the chapter's class such a file may load without a word and give other answers, or end
# the whole kernel. A wrong answer that nobody notices is the worse of the two.
#
# ## Predict, then run
#
# There are three formats. Which file is the smallest? In which one can no program hide?

# %%
for format in ("joblib", "pickle", "skops"):
    path = f"work/01/forest.{format}"
    ModelSerializer.save_model(model, path, format=format)
    print(f"{format:7} {Path(path).stat().st_size / 1024:5.0f} KiB")

# %% [markdown]
# - **joblib** is a pickle that is good with large arrays. It is the usual choice for your own models.
# - **pickle** is in Python itself.
# - **skops** is no pickle: it holds data only, and types that it does not know are refused. Use it
#   for files that go to other people.

# %% [markdown]
# ## Two tasks
#
# **01.1** Save a model for the wines so that *no program can hide in the file*. Load it again into
# `safe`, then run `check("01.1", path, safe)`.
#
# **01.2** The next cell makes three files. Which may you load? Fill `verdicts` with one word for each
# path: `"fine"`, `"corrupted"` or `"untrusted"`. Then `check("01.2", verdicts)`.

# %%
ModelSerializer.save_model(model, "work/01/ana.joblib")
ModelSerializer.save_model(model, "work/01/ben.joblib")
joblib.dump(model, "work/01/eva.joblib")
with open("work/01/ana.joblib", "r+b") as f:
    f.seek(1000)
    f.write(b"oops")

# %%
from nbdeploy.teach import check, hint

# Your turn. Mark the lines below and press Ctrl + / (Cmd + / on a Mac).

# path = "work/01/safe.???"
# safe = ...
# check("01.1", path, safe)

# verdicts = {"work/01/ana.joblib": ..., "work/01/ben.joblib": ..., "work/01/eva.joblib": ...}
# check("01.2", verdicts)

# %% [markdown]
# *One answer is in the folded cell below. `hint("01.1")` and `hint("01.2")` help before.*

# %% jupyter={"source_hidden": true}
path = "work/01/safe.skops"
ModelSerializer.save_model(model, path, format="skops")
safe = ModelSerializer.load_model(path, format="skops")
check("01.1", path, safe)

verdicts = {"work/01/ana.joblib": "corrupted", "work/01/ben.joblib": "fine",
            "work/01/eva.joblib": "untrusted"}
check("01.2", verdicts)

# %% [markdown]
# ## In production
#
# - **KServe** and **BentoML** load a pickle from a bucket or a store: whoever may write there can run
#   programs on your server.
# - **Model hubs** scan pickles for bad imports, and offer formats without code, such as safetensors.
# - The rule is the same everywhere: know who made the file, and compare its digest.
#
# ## Summary
#
# A pickle is a program, so a digest is compared *before* it is loaded. The manifest also says with
# which versions of the libraries the model was made.
#
# **Quiz**
#
# 1. You load a pickle and check that it is a `RandomForestClassifier`. Are you safe?
# <details><summary>Answer</summary>No. Its program ran while it was loaded.</details>
#
# 2. A colleague sends you a model. What do you ask for, besides the file?
# <details><summary>Answer</summary>Its digest, sent on another way than the file: load it with
# <code>trust="sha256:..."</code>. Or a skops file.</details>
#
# 3. The digest is right. Can the model still give other answers than at your colleague's?
# <details><summary>Answer</summary>Yes, with another version of scikit-learn. The manifest knows the
# versions, and loading warns.</details>

# %% [markdown]
# ## Clean up
#
# Nothing runs in the background: this lesson only made files. The next cell deletes them; run the
# notebook again to get them back.

# %%
import shutil

shutil.rmtree("work/01", ignore_errors=True)

# %% [markdown]
# **Next:** `02_model_versions` keeps many models, with names and a way back.
