# %% [markdown]
# # 2 Keep every version of a model
#
# After this lesson you can
#
# - save versions of a model, compare them, and see what changed between two,
# - give the live one a name, such as *production*, and serve it,
# - go back to the version before, in one line.

# %% [markdown] lang="zh-TW"
# # 2 把模型的每個版本都留下來
#
# 學完這一課，你可以
#
# - 儲存模型的各個版本，互相比較，看出兩版之間改了什麼，
# - 替線上那一版取個名字，例如 production，並用這個名字提供服務，
# - 用一行程式退回前一版。

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

# %% [markdown] lang="zh-TW"
# `fit(3)` 會給你一個有三棵樹的隨機森林，以及它在沒看過的酒上的成績。
#
# ## 先看成果
#
# 三行：選一個資料夾、儲存、看一看。

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

# %% [markdown] lang="zh-TW"
# 一個版本就是：有名字的模型，加上你量到的成績和日期。下個月你還是查得到哪個模型的準確率是多少。
#
# ## 拆開來看
#
# 這是教材裡的類別（它漏了 `_load_metadata` 和 `_save_metadata`，這裡補上了）。
# 所有版本都列在同一個檔案 `model_metadata.json` 裡。兩個人同時儲存會怎樣？

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

# %% [markdown] lang="zh-TW"
# Ana 和 Ben 打開同一個資料夾。Ana 先存 1.0，接著 Ben 存 1.1。最後有哪些版本？

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

# %% [markdown] lang="zh-TW"
# Ana 的版本不見了，而且沒有人看到錯誤訊息：Ben 手上的清單比 Ana 存檔還早，一寫回去就把它蓋掉了。
# `nbdeploy` 有同名的類別，呼叫方式也一樣，但沒有這份清單。每個版本自己一個資料夾，內容齊全了才會出現：

# %% tags=["nbval-check-output"]
from pathlib import Path

for path in sorted(Path("work/02/wine/versions/1.0").iterdir()):
    print(path.relative_to("work/02/wine"))

# %% [markdown]
# ## A version never changes
#
# You run the cell with `save_model_version` again. The same model: nothing happens. *Another* model
# under the same name?

# %% [markdown] lang="zh-TW"
# ## 版本永遠不變
#
# 你把 `save_model_version` 那一格再跑一次。模型沒變的話，什麼事都不會發生。那麼同一個名字、**不同的**模型呢？

# %% tags=["raises-exception"]
other, other_metrics = fit(trees=100)
versions.save_model_version(other, "1.0", other_metrics, "a hundred trees", example=X_train)

# %% [markdown]
# It is refused. If `1.0` could change, "we tested 1.0" would mean nothing. A new model gets a new
# name:

# %% [markdown] lang="zh-TW"
# 被拒絕了。要是 `1.0` 可以改，「我們測過 1.0」這句話就沒有意義了。新的模型要用新的名字：

# %%
versions.save_model_version(other, "1.1", other_metrics, "a hundred trees", example=X_train)
versions.compare()

# %% [markdown]
# The star marks the best. Of the accuracy more is better (↑), of the loss less (↓).
# `versions.compare().plot()` draws it. And what made the difference?

# %% [markdown] lang="zh-TW"
# 星號標出最好的一版。準確率越高越好（↑），損失越低越好（↓）。
# `versions.compare().plot()` 會畫成圖。那麼差別是怎麼來的？

# %%
versions.diff("1.0", "1.1")

# %% [markdown]
# ## A name that moves
#
# Programs should not have to know that the good version is 1.1 today. They ask for *production*. An
# **alias** is a name that you point to a version, and later to another.

# %% [markdown] lang="zh-TW"
# ## 會移動的名字
#
# 今天最好的一版是 1.1，但程式不該需要知道這件事，它只要說「給我 production」就好。
# **別名**（alias）是一個名字，今天指向這一版，改天指向另一版。

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

# %% [markdown] lang="zh-TW"
# 服務的每個回應都帶著標頭 `X-Model-Version`，說明答案來自哪一版。
# 第二次 `deploy` 換掉了模型，位址卻沒變。
#
# ## 先猜，再執行
#
# 1.1 版太慢，我們要退回去。下一格**第一行**執行完之後，回答的是哪一版？

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

# %% [markdown] lang="zh-TW"
# 別名就像門上的名牌。換了名牌，裡面的人還是同一個，要等你再部署一次才會換人。
# （練習 2 的 `service.rollout` 和 `service.rollback` 會把兩者一起換掉。）
#
# `rollback` 每次往回走一步，`roll_forward` 再往前走一步。走過的每一步都有紀錄：

# %%
versions.history("production")

# %% [markdown]
# ## Break it on purpose
#
# A disk loses some bytes of a version. Who notices, and when?

# %% [markdown] lang="zh-TW"
# ## 故意弄壞它
#
# 磁碟弄丟了某一版的幾個位元組。誰會發現？什麼時候發現？

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

# %% [markdown] lang="zh-TW"
# `verify` 逐一比對每個位元組和當初存的是否相同，過程中不載入任何東西。載入時也會先做同樣的比對。
#
# ## 兩個練習
#
# **02.1** 訓練一個在測試用的酒上準確率至少 0.95 的模型，存成版本 "2.0"，指標名稱是 `accuracy`。
# 讓別名 "candidate" 指向它。然後 `check("02.1", versions)`。
#
# **02.2** 執行下一格：有位同事推出了一個很差的模型。請讓先前線上的那一版回來，
# **別名和服務都要**：`check("02.2", versions, service)`。

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

# %% [markdown] lang="zh-TW"
# 下面收合的儲存格裡有一個參考答案。在那之前，`hint("02.1")` 和 `hint("02.2")` 可以幫忙。

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

# %% [markdown] lang="zh-TW"
# ## 在正式環境
#
# - **MLflow** 的模型登錄庫自動替版本編號，存在資料庫裡，也有別名。
# - **KServe** 和 **Triton** 讀取一個資料夾，每個版本一個子資料夾：用最新的，或用你列出的那幾版。
# - 大型團隊把版本放在儲存桶裡。這裡也可以：`ModelVersionControl("s3://bucket/wine")`。
#
# ## 重點整理
#
# 版本不是完整存好，就是完全沒存，而且永遠不變。別名會移動，也記得自己指過哪裡，那就是回頭路。
# 線上是哪一版，由 `deploy` 決定。
#
# **小測驗**
#
# 1. 名字已經有人用了，為什麼要拒絕這個版本？
# <details><summary>答案</summary>不然，用這個名字量過、測過的結果，就會套到另一個模型頭上。真要這麼做，可以用
# <code>replace=True</code>，舊的那版也會留著。</details>
#
# 2. 你把 `production` 退回前一版。使用者拿到的答案現在就不同了嗎？
# <details><summary>答案</summary>還沒有，要等服務重新部署：別名只是一個名字。</details>
#
# 3. 兩份 notebook 同時儲存。要怎麼做才不會弄丟東西？
# <details><summary>答案</summary>不要有兩邊都會改寫的共用檔案。每個版本一個資料夾，而且是一步到位、整個出現。</details>

# %%
from nbdeploy import stop_all

stop_all()

# %% [markdown]
# **Next:** `03_rest_service` looks at the service itself; exercise 2 sends one part of the users to
# a new version, and measures which is better.

# %% [markdown] lang="zh-TW"
# **下一步**：`03_rest_service` 來看服務本身；練習 2 會把一部分使用者導到新版本，並且量出哪一版比較好。
