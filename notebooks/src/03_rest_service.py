# %% [markdown]
# # 3 A model as a web service
#
# After this lesson you can
#
# - deploy a model and call it from any language,
# - read a refused request: what does *422* say, and what do you change?
# - say what a service must do while it predicts, and read its OpenAPI page.

# %%
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

X, y = load_wine(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = RandomForestClassifier(n_estimators=30, random_state=0).fit(X_train, y_train)

# %% [markdown]
# ## See it first
#
# 178 wines, 13 measured values each, three growers. Three lines give a live service:

# %%
from nbdeploy import deploy

service = deploy(model, name="wine", example=X_train)
service.predict(X_test.head(3))

# %% [markdown]
# The numbers are the growers. What happened between the second line and the third? Let us build
# such a service ourselves.
#
# ## Take it apart
#
# This is the class of the chapter: two routes, and the model behind them. Read it slowly. Where is
# the model called? What happens when that fails?

# %% tags=["chapter"]
import numpy as np
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from nbdeploy import ModelSerializer


class PredictionRequest(BaseModel):
    features: list[float]


class ModelService:
    def __init__(self, model_path: str):
        self.model = ModelSerializer.load_model(model_path)
        self.app = FastAPI()
        self.setup_routes()

    def setup_routes(self):
        @self.app.post("/predict")
        async def predict(request: PredictionRequest):
            try:
                features = np.array(request.features).reshape(1, -1)
                prediction = self.model.predict(features)
                return {"prediction": prediction.tolist()}
            except Exception as e:
                raise HTTPException(status_code=400, detail=str(e))

        @self.app.get("/model/info")
        async def model_info():
            return {
                "model_type": type(self.model).__name__,
                "feature_count": self.model.n_features_in_,
            }


# %% [markdown]
# `.app` is a web application. A test client can call it without a network, which is handy in a
# notebook. First we save the model, because the class wants a path.

# %% tags=["warns"]
from fastapi.testclient import TestClient

ModelSerializer.save_model(model, "work/03/wine.joblib")
chapter = TestClient(ModelService("work/03/wine.joblib").app)
row = X_test.iloc[0].tolist()
chapter.post("/predict", json={"features": row}).json()

# %% [markdown]
# It works. The answer is a list with one number, the grower. And scikit-learn warns: the names of
# the columns were lost on the way.
#
# Now the class of `nbdeploy`: the same name, the same call, the same answer.

# %%
from nbdeploy import ModelService as BetterService

better_service = BetterService("work/03/wine.joblib")
better = TestClient(better_service.app, base_url="http://127.0.0.1")
print(better.post("/predict", json={"features": row}).json())
print(better.get("/model/info").json()["features"][:3])

# %% [markdown]
# The last line is new: this service knows the *names* of the columns.
#
# ## Break it on purpose
#
# A caller mixes up the order of the values. The chapter's class takes a bare list; `nbdeploy` also
# takes names with the values. What do the two answer? The right grower was 0. (We have read the
# warning, and switch it off.)

# %% tags=["nbval-check-output"]
import warnings

warnings.filterwarnings("ignore", message="X does not have valid feature names")
mixed = dict(reversed(X_test.iloc[0].to_dict().items()))
print("chapter: ", chapter.post("/predict", json={"features": list(mixed.values())}).json())
print("nbdeploy:", better.post("/predict", json={"features": mixed}).json())

# %% [markdown]
# The first answer is wrong, and nothing tells it. With names, the order does not matter.
#
# Now a caller writes a word where a number belongs:

# %% tags=["nbval-check-output"]
wrong = {"features": {**X_test.iloc[0].to_dict(), "alcohol": "strong"}}
answer = better.post("/predict", json=wrong)
print(answer.status_code)
answer.json()

# %% [markdown]
# **422** means: I understood your request, but these values do not fit. `detail` is for people,
# `error` is for programs: which row, which column, what was expected.

# %% [markdown]
# ## Predict, then run
#
# A model needs half a second for an answer. While it works, somebody else asks for `/model/info`,
# which is only a dict. How long does that second caller wait, in the chapter's class?

# %%
import asyncio
import time
import httpx2

class SlowModel(RandomForestClassifier):
    def predict(self, X):
        time.sleep(0.5)
        return super().predict(X)

slow = SlowModel(n_estimators=5, random_state=0).fit(X_train.to_numpy(), y_train)

# %%
async def second_caller_waits(app):
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        began = time.perf_counter()
        first = asyncio.create_task(client.post("/predict", json={"features": row}))
        await asyncio.sleep(0.1)
        await client.get("/model/info")
        waited = time.perf_counter() - began - 0.1
        await first
    return f"{waited:.1f} seconds"

# %%
ModelSerializer.save_model(slow, "work/03/slow.joblib")
slow_service = BetterService("work/03/slow.joblib")
print("chapter: ", await second_caller_waits(ModelService("work/03/slow.joblib").app))
print("nbdeploy:", await second_caller_waits(slow_service.app))

# %% [markdown]
# `async def` runs on one thread for everybody. The chapter's class calls the model right there, so
# *everybody* waits until it is done, the health check too. `nbdeploy` predicts in other threads.
#
# ## Read the page
#
# Every service describes itself in a format called OpenAPI. What can one ask this service?

# %%
page = httpx2.get(f"{service.url}/openapi.json").json()
print("Paths to post to:", [path for path, verbs in page["paths"].items() if "post" in verbs])
service.open()

# %% [markdown]
# The link opens the same description as a page for people. Look for `POST /predict` there, press
# *Try it out*, and send the row that stands in the form.

# %% [markdown]
# ## Two tasks
#
# **03.1** Deploy a model of your own that tells the three kinds of iris flowers
# (`sklearn.datasets.load_iris`), under the name "iris". Then `check("03.1", iris)`.
#
# **03.2** This request is refused. Repair `payload` until the service "wine" answers it:
# `check("03.2", service, payload)`. The message of the service tells you what to do.

# %%
payload = {"features": X_test.iloc[5].to_dict()}
features = payload["features"]
features["color_intensity"] = str(features["color_intensity"]).replace(".", ",")
features["malic acid"] = features.pop("malic_acid")

# %%
from nbdeploy.teach import check, hint

# Your turn. Mark the lines below and press Ctrl + / (Cmd + / on a Mac).

# iris = ...
# check("03.1", iris)

# check("03.2", service, payload)

# %% [markdown]
# *One answer is in the folded cell below. `hint("03.1")` and `hint("03.2")` help before.*

# %% jupyter={"source_hidden": true}
from sklearn.datasets import load_iris

flowers, kinds = load_iris(return_X_y=True, as_frame=True)
forest = RandomForestClassifier(n_estimators=30, random_state=0).fit(flowers, kinds)
iris = deploy(forest, name="iris", example=flowers)
check("03.1", iris)

repaired = dict(features)
repaired["color_intensity"] = float(repaired["color_intensity"].replace(",", "."))
repaired["malic_acid"] = repaired.pop("malic acid")
check("03.2", service, {"features": repaired})

# %% [markdown]
# ## In production
#
# - **KServe** and **Triton** speak the *Open Inference Protocol*: `POST /v2/models/wine/infer`.
# - **BentoML** and **Ray Serve** make you write a class, close to the one above.
# - In all of them the same three things count: learned names and types, clear refusals, and a
#   health check that answers while the model works.
#
# ## Summary
#
# A service is a model behind two routes. What makes it useful is around them: it knows what a row
# looks like, it refuses what does not fit, and it answers others while it predicts.
#
# **Quiz**
#
# 1. A request gets 422. Is the service broken?
# <details><summary>Answer</summary>No. The request does not fit; the message says which value.
# A broken model answers 500.</details>
#
# 2. Why send names with the values, and not a bare list?
# <details><summary>Answer</summary>A list in the wrong order gives a wrong answer without an error.
# With names the order does not matter, and a missing one is noticed.</details>
#
# 3. Why must `predict` not run directly inside `async def`?
# <details><summary>Answer</summary>It blocks the one thread on which all requests are
# handled.</details>

# %% [markdown]
# ## Clean up
#
# `stop_all()` stops everything that was deployed here. The services that we made by hand are closed
# by hand.

# %%
from nbdeploy import stop_all

stop_all()
better_service.close()
slow_service.close()
