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

# %% [markdown] lang="zh-TW"
# # 練習 1：完整流程，從模型到容器
#
# 45 到 60 分鐘，六個步驟。需要先學過第 1 課和第 3 課，不需要容器引擎。
#
# 觀測站想知道眼前的企鵝是哪個物種。模型在你的 notebook 裡，連同一個你寫的函式；觀測站兩樣都沒有。
# 哪些東西得搬過去？你又怎麼能事先確定，在那邊也行得通？
#
# 每個步驟裡，把 `...` 換成你的程式碼，執行儲存格，再執行下面的檢查。卡住了？
# `hint("ex1.1")` 先給一點提示，再呼叫一次會說得更多。

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

# %% [markdown] lang="zh-TW"
# 模型會呼叫一個只存在這份 notebook 裡的函式：

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

# %% [markdown] lang="zh-TW"
# ## 步驟 1：序列化
#
# 把 `model` 存到 `path`，而且讓讀到檔案的人也知道一列資料長什麼樣子。資料夾會自動建立。

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

# %% [markdown] lang="zh-TW"
# ## 步驟 2：API
#
# 部署那個**檔案**，而不是記憶體裡的模型，名稱用 "penguins"。用 `X_train` 當範例：
# 服務會留下其中幾列，步驟 4 用得到。結果命名為 `service`。

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

# %% [markdown] lang="zh-TW"
# ## 步驟 3：沒有 nbdeploy 的呼叫者
#
# 觀測站只有 Python，其他什麼都沒有。寫一個 `ask(url, row)`：用 `urllib.request` 把一列資料（一個 dict）
# POST 給位於 `url` 的服務，並以字串回傳企鵝的物種。請求內容是
# `{"features": row}`，回應是 `{"prediction": ["Adelie"]}`。

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

# %% [markdown] lang="zh-TW"
# ## 步驟 4：可以建置的資料夾
#
# 替服務做一個部署包，放在資料夾 `work/ex1/bundle`，命名為 `bundle`。接著預演容器：
# `bundle.check(quick=True)` 會在只裝了鎖定套件的環境裡，從這個資料夾啟動服務。
# 把它回傳的東西命名為 `report`。

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

# %% [markdown] lang="zh-TW"
# ## 步驟 5：換個地方就壞掉的東西
#
# 有位同事按島嶼修正嘴喙長度，修正值放在一個檔案裡。在 notebook 裡行得通：

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

# %% [markdown] lang="zh-TW"
# 預演亮紅燈，也說了原因：檔案在這裡，不在那裡。請寫一個 `correct(frame)`，結果相同，
# 但被呼叫時不讀任何檔案。再用它訓練出 `careful`。

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

# %% [markdown] lang="zh-TW"
# ## 步驟 6：換新模型的代價
#
# Dockerfile 每一行的結果，引擎都會留著。複製進去的檔案變了，它就重做那一行，
# 以及同一個階段裡後面的每一行。這是你的部署包的 Dockerfile：

# %%
getattr(bundle, "dockerfile", "Step 4 makes the bundle.")

# %% [markdown]
# You save a better model into the same bundle: which instructions of the *last* stage run again? Set
# `again` to the list of their names in order, such as `["FROM", "ENV"]`. Comments do not count, and
# a line that goes on after a `\` is one instruction.

# %% [markdown] lang="zh-TW"
# 你把一個更好的模型存進同一個部署包：**最後**一個階段裡，哪些指令要重做？
# 把 `again` 設成這些指令的名稱，照順序排成串列，例如 `["FROM", "ENV"]`。
# 註解不算，用 `\` 接到下一行的算同一個指令。

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

# %% [markdown] lang="zh-TW"
# 裡面沒有一個需要安裝東西：換個新模型，建置只要幾秒。
#
# 如果有容器引擎（Docker 或 Podman），剩下的是這樣：
#
# ```python
# with bundle.build("penguins:1.0").run() as container:
#     print((container.predict(X_test) == model.predict(X_test)).all())
# ```
#
# 教材的 `DockerConfig.generate_dockerfile(requirements_path, model_path)` 會替你自己的資料夾寫出同樣的檔案。
# 讓一個容器開始回答之前，你會想先知道它的哪些事？
#
# ## 收拾

# %%
stop_all()
