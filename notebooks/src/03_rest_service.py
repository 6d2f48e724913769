# %% [markdown]
# # 3 A model as a web service
#
# After this lesson you can
#
# - deploy a model and call it from any language,
# - read a refused request: what does *422* say, and what do you change?
# - say what a service must do while it predicts, and read its OpenAPI page.

# %% [markdown] lang="zh-TW"
# # 3 把模型變成網路服務
#
# 學完這一課，你可以
#
# - 部署模型，並從任何程式語言呼叫它，
# - 讀懂被拒絕的請求：422 是什麼意思、該改哪裡，
# - 說出服務在預測的同時還必須做什麼，並看懂它的 OpenAPI 頁面。

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

# %% [markdown] lang="zh-TW"
# ## 先看成果
#
# 178 支酒，每支 13 個量測值，來自三家酒莊。三行就有一個上線的服務：

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

# %% [markdown] lang="zh-TW"
# 這些數字是酒莊的編號。從第二行到第三行，中間發生了什麼事？我們自己做一個這樣的服務看看。
#
# ## 拆開來看
#
# 這是教材裡的類別：兩條路由，後面是模型。慢慢讀。模型在哪裡被呼叫？呼叫失敗時會怎樣？

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

# %% [markdown] lang="zh-TW"
# `.app` 是一個網頁應用程式。測試用的用戶端不經過網路就能呼叫它，在 notebook 裡很方便。
# 這個類別要的是路徑，所以我們先把模型存起來。

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

# %% [markdown] lang="zh-TW"
# 行得通。回應是只有一個數字的串列，也就是酒莊。另外 scikit-learn 發出警告：欄位名稱在半路上弄丟了。
#
# 現在換 `nbdeploy` 的類別：同樣的名字、同樣的呼叫、同樣的答案。

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

# %% [markdown] lang="zh-TW"
# 最後一行是新的：這個服務知道各欄位的**名稱**。
#
# ## 故意弄壞它
#
# 呼叫端把數值的順序弄亂了。教材的類別只收一串光禿禿的數字，`nbdeploy` 還可以收「名稱加數值」。
# 兩邊各會怎麼回答？正確的酒莊是 0。（剛才的警告我們看過了，先關掉。）

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

# %% [markdown] lang="zh-TW"
# 第一個答案是錯的，而且看不出任何異狀。帶著名稱送，順序就無關緊要了。
#
# 再來，呼叫端在該填數字的地方填了文字：

# %% tags=["nbval-check-output"]
wrong = {"features": {**X_test.iloc[0].to_dict(), "alcohol": "strong"}}
answer = better.post("/predict", json=wrong)
print(answer.status_code)
answer.json()

# %% [markdown]
# **422** means: I understood your request, but these values do not fit. `detail` is for people,
# `error` is for programs: which row, which column, what was expected.

# %% [markdown] lang="zh-TW"
# **422** 的意思是：你的請求我看懂了，但這些值不符合要求。
# `detail` 是給人看的，`error` 是給程式看的：哪一列、哪個欄位、預期是什麼。

# %% [markdown]
# ## Predict, then run
#
# A model needs half a second for an answer. While it works, somebody else asks for `/model/info`,
# which is only a dict. How long does that second caller wait, in the chapter's class?

# %% [markdown] lang="zh-TW"
# ## 先猜，再執行
#
# 某個模型要半秒才答得出來。它還在算的時候，有人來要 `/model/info`，那不過是一個 dict。
# 在教材的類別裡，這第二位呼叫者要等多久？

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

# %% [markdown] lang="zh-TW"
# `async def` 用同一個執行緒服務所有人。教材的類別直接在那裡呼叫模型，所以**所有人**都得等它算完，
# 連健康檢查也一樣。`nbdeploy` 則在別的執行緒做預測。
#
# ## 讀讀說明頁
#
# 每個服務都會用一種叫 OpenAPI 的格式描述自己。這個服務可以怎麼呼叫？

# %%
page = httpx2.get(f"{service.url}/openapi.json").json()
print("Paths to post to:", [path for path, verbs in page["paths"].items() if "post" in verbs])
service.open()

# %% [markdown]
# The link opens the same description as a page for people. Look for `POST /predict` there, press
# *Try it out*, and send the row that stands in the form.

# %% [markdown] lang="zh-TW"
# 點開連結，就是同一份描述給人看的版本。在裡面找到 `POST /predict`，按下 **Try it out**，
# 把表單裡現成的那一列送出去。

# %% [markdown]
# ## Two tasks
#
# **03.1** Deploy a model of your own that tells the three kinds of iris flowers
# (`sklearn.datasets.load_iris`), under the name "iris". Then `check("03.1", iris)`.
#
# **03.2** This request is refused. Repair `payload` until the service "wine" answers it:
# `check("03.2", service, payload)`. The message of the service tells you what to do.

# %% [markdown] lang="zh-TW"
# ## 兩個練習
#
# **03.1** 自己部署一個能分辨三種鳶尾花（`sklearn.datasets.load_iris`）的模型，名稱用 "iris"。
# 然後 `check("03.1", iris)`。
#
# **03.2** 這個請求會被拒絕。請修好 `payload`，讓服務 "wine" 願意回答：
# `check("03.2", service, payload)`。該怎麼改，服務的訊息會告訴你。

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

# %% [markdown] lang="zh-TW"
# 下面收合的儲存格裡有一個參考答案。在那之前，`hint("03.1")` 和 `hint("03.2")` 可以幫忙。

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

# %% [markdown] lang="zh-TW"
# ## 在正式環境
#
# - **KServe** 和 **Triton** 採用 Open Inference Protocol：`POST /v2/models/wine/infer`。
# - **BentoML** 和 **Ray Serve** 要你寫一個類別，和上面那個很像。
# - 不管用哪一套，重要的都是這三件事：從資料學來的名稱和型別、說得清楚的拒絕，
#   以及模型在忙時也答得出來的健康檢查。
#
# ## 重點整理
#
# 服務就是兩條路由，後面放一個模型。讓它好用的是周邊的功夫：它知道一列資料該長什麼樣子，
# 不符合的就拒絕，而且預測時還能回答別人。
#
# **小測驗**
#
# 1. 請求得到 422。服務壞了嗎？
# <details><summary>答案</summary>沒有，是請求不符合要求，訊息會指出是哪個值。模型真的壞了會回 500。</details>
#
# 2. 為什麼要連名稱一起送，而不是只送一串數值？
# <details><summary>答案</summary>順序錯了，串列會得到錯的答案，卻沒有任何錯誤訊息。
# 有名稱的話順序不重要，少了哪個也會被發現。</details>
#
# 3. 為什麼 `predict` 不可以直接在 `async def` 裡執行？
# <details><summary>答案</summary>所有請求都靠同一個執行緒處理，它會把那個執行緒卡住。</details>

# %% [markdown]
# ## Clean up
#
# `stop_all()` stops everything that was deployed here. The services that we made by hand are closed
# by hand.

# %% [markdown] lang="zh-TW"
# ## 收拾
#
# `stop_all()` 會停掉在這裡部署的一切。我們自己手動建立的服務，就自己手動關閉。

# %%
from nbdeploy import stop_all

stop_all()
better_service.close()
slow_service.close()
