# %% [markdown]
# # 1 Save a model, and load it
#
# After this lesson you can say
#
# - why a saved model is a program, and whose files you may load,
# - what a manifest protects you from,
# - which format to use when.

# %% [markdown] lang="zh-TW"
# # 1 儲存模型，再載入
#
# 學完這一課，你能說明
#
# - 為什麼儲存下來的模型其實是一段程式，誰的檔案可以載入，
# - 清單檔（manifest）替你擋下什麼，
# - 什麼情況該用哪一種格式。

# %%
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier

X, y = load_wine(return_X_y=True, as_frame=True)
model = RandomForestClassifier(n_estimators=30, random_state=0).fit(X, y)

# %% [markdown]
# ## See it first
#
# Three lines: save, load, ask. Does the loaded model give the same answers?

# %% [markdown] lang="zh-TW"
# ## 先看成果
#
# 三行：儲存、載入、預測。載入回來的模型會給出一樣的答案嗎？

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

# %% [markdown] lang="zh-TW"
# 會，每一支酒都一樣。從 notebook 搬到伺服器上的，就是這個儲存下來的模型。
#
# ## 拆開來看
#
# 這是教材裡的類別，很短。讀讀看：每一行可能出什麼錯？

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

# %% [markdown] lang="zh-TW"
# 第一個毛病，在路徑不含資料夾時就會現形：

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

# %% [markdown] lang="zh-TW"
# `"wine.joblib"` 的資料夾是空字串，而沒有資料夾叫這個名字。
# `nbdeploy` 有同名的類別，呼叫方式也一樣，但不會出這個錯，你剛才已經用過了。
#
# 第二個毛病更嚴重，而且悄無聲息。
#
# ## pickle 是一段程式
#
# pickle 檔是一串指令：「匯入這個、呼叫那個」。指令由寫檔案的人決定。
# 把下面這個物件存起來再載入，你覺得會發生什麼事？

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

# %% [markdown] lang="zh-TW"
# 模型還沒到你手上，`print` 就已經被呼叫了。換成刪光你檔案的呼叫也行。**載入之後**才檢查模型，已經來不及了。
#
# 同一個檔案，`nbdeploy` 會怎麼處理？

# %% tags=["raises-exception"]
ModelSerializer.load_model("work/01/surprise.joblib")

# %% [markdown]
# It refuses, and nothing ran. It read the list of orders without obeying, and found `print` there.
#
# Why did it load *your* file without a question? Because of the manifest: the file
# `wine.joblib.manifest.json`, which was written beside it.
#
# ## What is in a manifest?

# %% [markdown] lang="zh-TW"
# 它拒絕了，什麼都沒執行。它只讀那串指令、不照做，然後在裡面發現了 `print`。
#
# 那麼它載入**你的**檔案時，為什麼問都不問？靠的是清單檔：存檔時寫在旁邊的 `wine.joblib.manifest.json`。
#
# ## 清單檔裡有什麼？

# %%
ModelSerializer.inspect("work/01/wine.joblib")

# %% [markdown]
# The *digest* is a fingerprint of the file: change one byte, and it is another. The manifest keeps
# it, signed with a key that only you have. So `nbdeploy` knows what you saved.
#
# ## Break it on purpose
#
# A disk loses one byte. Will you notice?

# %% [markdown] lang="zh-TW"
# 摘要（digest）是檔案的指紋：只要改動一個位元組，指紋就不同。
# 清單檔記下摘要，並用只有你才有的金鑰簽章。所以 `nbdeploy` 認得出哪些是你存的。
#
# ## 故意弄壞它
#
# 磁碟壞了一個位元組。你會發現嗎？

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

# %% [markdown] lang="zh-TW"
# 會。換成教材的類別，這種檔案可能一聲不響就載入，然後給出不同的答案；也可能讓整個核心當掉。
# 兩者之中，沒人發現的錯誤答案更糟。
#
# ## 先猜，再執行
#
# 格式有三種。哪一個檔案最小？哪一種格式藏不了程式？

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

# %% [markdown] lang="zh-TW"
# - **joblib** 是擅長處理大陣列的 pickle，存自己的模型通常用它。
# - **pickle** 是 Python 內建的。
# - **skops** 不是 pickle：裡面只有資料，不認得的型別一律拒絕。要交給別人的檔案就用它。

# %% [markdown]
# ## Two tasks
#
# **01.1** Save a model for the wines so that *no program can hide in the file*. Load it again into
# `safe`, then run `check("01.1", path, safe)`.
#
# **01.2** The next cell makes three files. Which may you load? Fill `verdicts` with one word for each
# path: `"fine"`, `"corrupted"` or `"untrusted"`. Then `check("01.2", verdicts)`.

# %% [markdown] lang="zh-TW"
# ## 兩個練習
#
# **01.1** 替葡萄酒存一個模型，讓檔案裡**藏不了任何程式**。再把它載入成 `safe`，
# 然後執行 `check("01.1", path, safe)`。
#
# **01.2** 下一格會產生三個檔案，哪些可以載入？在 `verdicts` 裡替每個路徑填一個詞：
# `"fine"`（沒問題）、`"corrupted"`（已損毀）或 `"untrusted"`（不可信任）。然後 `check("01.2", verdicts)`。

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

# %% [markdown] lang="zh-TW"
# 下面收合的儲存格裡有一個參考答案。在那之前，`hint("01.1")` 和 `hint("01.2")` 可以幫忙。

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

# %% [markdown] lang="zh-TW"
# ## 在正式環境
#
# - **KServe** 和 **BentoML** 會從儲存桶或模型庫載入 pickle：誰能寫入那裡，誰就能在你的伺服器上執行程式。
# - **模型平台**會掃描 pickle 裡有沒有可疑的匯入，也提供不含程式碼的格式，例如 safetensors。
# - 到哪裡規則都一樣：弄清楚檔案是誰做的，並比對摘要。
#
# ## 重點整理
#
# pickle 是一段程式，所以要在載入**之前**比對摘要。清單檔還記錄了模型是用哪些版本的函式庫做出來的。
#
# **小測驗**
#
# 1. 你載入一個 pickle，確認它是 `RandomForestClassifier`。這樣安全嗎？
# <details><summary>答案</summary>不安全。載入的當下，裡面的程式就已經執行了。</details>
#
# 2. 同事寄來一個模型。除了檔案，你還要跟他要什麼？
# <details><summary>答案</summary>它的摘要，而且要從另一個管道送來。載入時寫
# <code>trust="sha256:..."</code>。或者請他給 skops 檔。</details>
#
# 3. 摘要正確。模型給的答案還是有可能和同事那邊不一樣嗎？
# <details><summary>答案</summary>有可能，只要 scikit-learn 的版本不同。清單檔記得版本，載入時會警告。</details>

# %% [markdown]
# ## Clean up
#
# Nothing runs in the background: this lesson only made files. The next cell deletes them; run the
# notebook again to get them back.

# %% [markdown] lang="zh-TW"
# ## 收拾
#
# 背景沒有東西在跑：這一課只產生了檔案。下一格會把它們刪掉；想要的話，重跑一次 notebook 就有了。

# %%
import shutil

shutil.rmtree("work/01", ignore_errors=True)

# %% [markdown]
# **Next:** `02_model_versions` keeps many models, with names and a way back.

# %% [markdown] lang="zh-TW"
# **下一步**：`02_model_versions` 讓你把許多模型都留著，有名字，也有回頭路。
