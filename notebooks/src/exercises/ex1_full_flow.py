# %% [markdown]
# # Exercise 1: the whole flow, from a model to a container
#
# *45 to 60 minutes, six steps. You need lessons 1 and 3. An engine for containers is not needed.*
#
# A station wants to know which penguin it sees. The model stands in your notebook, together with a
# function that you wrote, and the station has neither. Which of all that has to travel, and how do
# you know beforehand that it will work there?
#
# In each step, replace `...` by your code, run the cell, then run the check below it. Stuck?
# `hint("ex1.1")` gives a first nudge; ask again for more.

# %%
import json
import urllib.request
from pathlib import Path

import pandas as pd
from palmerpenguins import load_penguins
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from nbdeploy import ModelSerializer, deploy, stop_all
from nbdeploy.teach import check, hint

penguins = load_penguins().dropna()
columns = ["island", "bill_length_mm", "bill_depth_mm"]
X, y = penguins[columns], penguins["species"]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0)

# %% [markdown]
# The model calls a function that exists in this notebook and nowhere else:

# %%
def add_ratio(frame):
    return frame.assign(ratio=frame["bill_length_mm"] / frame["bill_depth_mm"])


def fitted(function):
    scaled = make_column_transformer((OneHotEncoder(), ["island"]), remainder=StandardScaler())
    pipeline = make_pipeline(FunctionTransformer(function), scaled, LogisticRegression())
    return pipeline.fit(X_train, y_train)


model = fitted(add_ratio)
print(f"{model.score(X_test, y_test):.1%} of the penguins right")

# %% [markdown]
# ## Step 1: serialization
#
# Save `model` to `path`, so that whoever reads the file also learns what a row looks like. The
# folder is made for you.

# %%
path = "work/ex1/penguins.joblib"
# solution
ModelSerializer.save_model(model, path, example=X_train)

# %%
check("ex1.1", path)

# %% [markdown]
# ## Step 2: an API
#
# Deploy *the file*, not the model in memory, under the name "penguins". Give `X_train` as example:
# a few of its rows are kept, and you need them in step 4. Call the result `service`.

# %%
# solution
service = deploy(path, name="penguins", example=X_train)

# %%
check("ex1.2", service)

# %% [markdown]
# ## Step 3: a caller without nbdeploy
#
# The station has Python and nothing else. Write `ask(url, row)`: it posts one row, a dict, to the
# service at `url` with `urllib.request`, and returns the species as a text. The body is
# `{"features": row}`, the answer `{"prediction": ["Adelie"]}`.

# %%
def ask(url, row):
    # solution
    body = json.dumps({"features": row}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/predict", body, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["prediction"][0]


# %%
check("ex1.3", ask, service)

# %% [markdown]
# ## Step 4: a folder that builds
#
# Make a bundle of the service in the folder `work/ex1/bundle`, and call it `bundle`. Then rehearse
# the container: `bundle.check(quick=True)` starts the service from the folder, in an environment
# that has the locked packages and nothing else. Call what it returns `report`.

# %%
# solution
bundle = service.bundle("work/ex1/bundle")
report = bundle.check(quick=True)
report

# %%
check("ex1.4", bundle, report)

# %% [markdown]
# ## Step 5: what breaks elsewhere
#
# A colleague corrects the bills by island, and keeps the corrections in a file. In the notebook it
# works:

# %%
corrections = Path("work/ex1/corrections.csv").resolve()
corrections.parent.mkdir(parents=True, exist_ok=True)
pd.Series({"Biscoe": 1.0, "Dream": 1.01, "Torgersen": 0.99}).to_csv(corrections, header=False)


def correct_from_file(frame):
    factors = pd.read_csv("work/ex1/corrections.csv", index_col=0, header=None)[1]
    return frame.assign(bill_length_mm=frame["bill_length_mm"] * frame["island"].map(factors))


careless = fitted(correct_from_file)
with deploy(careless, name="careless", example=X_train) as trial:
    print(trial.bundle("work/ex1/careless").check(quick=True))

# %% [markdown]
# The rehearsal is red, and it says why: the file is here and not there. Write `correct(frame)`, which
# gives the same without reading a file when it is called. Then fit `careful` with it.

# %%
# solution
factors = pd.read_csv(corrections, index_col=0, header=None)[1].to_dict()


def correct(frame):
    return frame.assign(bill_length_mm=frame["bill_length_mm"] * frame["island"].map(factors))


careful = fitted(correct)

# %%
check("ex1.5", careful, careless)

# %% [markdown]
# ## Step 6: what a new model costs
#
# The engine keeps the result of each line of a Dockerfile. When a copied file has changed, it does
# that line again, and all that come after it in the same stage. Here is the Dockerfile of your bundle:

# %%
getattr(bundle, "dockerfile", "Step 4 makes the bundle.")

# %% [markdown]
# You save a better model into the same bundle: which instructions of the *last* stage run again? Set
# `again` to the list of their names in order, such as `["FROM", "ENV"]`. Comments do not count, and
# a line that goes on after a `\` is one instruction.

# %%
# solution
again = ["COPY", "LABEL", "ENV", "USER", "EXPOSE", "STOPSIGNAL"]
again += ["HEALTHCHECK", "ENTRYPOINT", "CMD"]

# %%
check("ex1.6", again, bundle)

# %% [markdown]
# None of them installs anything: a new model is a build of seconds.
#
# With an engine for containers, Docker or Podman, the rest is this:
#
# ```python
# with bundle.build("penguins:1.0").run() as container:
#     print((container.predict(X_test) == model.predict(X_test)).all())
# ```
#
# The chapter's `DockerConfig.generate_dockerfile(requirements_path, model_path)` writes the same file
# for a folder of your own. What would you want to know about a container before you let it answer?
#
# ## Clean up

# %%
stop_all()
