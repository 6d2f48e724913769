# %% [markdown]
# # Exercise 5: an ensemble of several models
#
# *45 to 60 minutes, six steps. You need lessons 1 to 3.*
#
# Three models name penguins, and each has its own weakness. Can they be better together? What does
# the station see when one of them fails, or takes too long?
#
# In each step, replace `...` by your code, run the cell, then run the check below it. Stuck?
# `hint("ex5.1")` gives a first nudge; ask again for more.

# %% [markdown] lang="zh-TW"
# # 練習 5：用多個模型組成集成模型
#
# 45 到 60 分鐘，六個步驟。需要先學過第 1 到第 3 課。
#
# 三個模型都會認企鵝，也各有弱點。合在一起會更好嗎？
# 其中一個失敗，或是太慢的時候，觀測站會看到什麼？
#
# 每個步驟裡，把 `...` 換成你的程式碼，執行儲存格，再執行下面的檢查。卡住了？
# `hint("ex5.1")` 先給一點提示，再呼叫一次會說得更多。

# %%
import time

import numpy as np
from palmerpenguins import load_penguins
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from nbdeploy import Ensemble, ModelVersionControl, deploy, stop_all
from nbdeploy.teach import check, hint

penguins = load_penguins()
measures = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
X, y = penguins[measures], penguins["species"]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, random_state=0)

# %% [markdown]
# Three models, each fitted on columns of its own:

# %% [markdown] lang="zh-TW"
# 三個模型，各自用不同的欄位訓練：

# %%
bill, body = measures[:2], measures[2:]
tree = make_pipeline(SimpleImputer(), DecisionTreeClassifier(max_depth=3, random_state=0))
tree.fit(X_train[bill], y_train)
line = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
line.fit(X_train[measures], y_train)
near = make_pipeline(SimpleImputer(), StandardScaler(), KNeighborsClassifier(5))
near.fit(X_train[body], y_train)

# %% [markdown]
# ## Step 1: align the classes
#
# Before you use the library's ensemble, build its heart. Two members give probabilities, each in
# the order of *its own* classes. Write `soft_vote(members)`: it takes a list of pairs
# `(classes, probabilities)` for one row and gives a dict from class to mean probability. A class
# that a member never saw has the probability 0 in its eyes.

# %% [markdown] lang="zh-TW"
# ## 步驟 1：對齊類別
#
# 用函式庫的集成模型之前，先自己做出它的核心。兩個成員都給出機率，但順序是照**自己的**類別排的。
# 請寫 `soft_vote(members)`：輸入是一列資料的 `(classes, probabilities)` 組成的串列，
# 輸出是 dict，從類別對應到平均機率。成員沒看過的類別，在它眼中機率是 0。

# %%
def soft_vote(members):
    # solution
    every = sorted({label for classes, _ in members for label in classes})
    shares = [dict(zip(classes, probabilities)) for classes, probabilities in members]
    return {label: sum(each.get(label, 0) for each in shares) / len(members) for label in every}


# %%
check("ex5.1", soft_vote)

# %% [markdown]
# ## Step 2: one model out of three
#
# Make an `Ensemble` of `tree`, `line` and `near` under these names, with a soft vote. Call it
# `ensemble`. Each member gets the columns that it was fitted on: which does the ensemble need?

# %% [markdown] lang="zh-TW"
# ## 步驟 2：三個模型合成一個
#
# 用 `tree`、`line` 和 `near` 組成一個 `Ensemble`，成員名稱也用這三個，採用軟投票，命名為 `ensemble`。
# 每個成員拿到的是它訓練時用的欄位。那麼，整個集成模型需要哪些欄位？

# %%
# solution
ensemble = Ensemble({"tree": tree, "line": line, "near": near})

# %%
check("ex5.2", ensemble)
print(f"tree {tree.score(X_test[bill], y_test):.1%}, near {near.score(X_test[body], y_test):.1%}")
print(f"together {np.mean(ensemble.predict(X_test) == y_test):.1%}")

# %% [markdown]
# ## Step 3: cheap first
#
# Most penguins are easy. Make a cascade, `cascade`: `tree` first, `line` only for the rows of which
# `tree` is less than 95 % sure. Then predict `X_test` with it and read in `cascade.log.report()` how
# many rows `line` was asked.

# %% [markdown] lang="zh-TW"
# ## 步驟 3：便宜的先來
#
# 大部分的企鵝都很好認。請做一個級聯 `cascade`：先問 `tree`；`tree` 的把握低於 95% 的資料列，才問 `line`。
# 接著用它預測 `X_test`，再從 `cascade.log.report()` 讀出 `line` 被問了幾列。

# %%
# solution
cascade = Ensemble({"tree": tree, "line": line}, "cascade", threshold=0.95)
right = np.mean(cascade.predict(X_test) == y_test)
print(f"{right:.1%}", {name: facts["rows"] for name, facts in cascade.log.report().items()})

# %%
check("ex5.3", cascade)

# %% [markdown]
# ## Step 4: a member fails, another is late
#
# Two members from another team join. One raises, one needs half a minute:

# %% [markdown] lang="zh-TW"
# ## 步驟 4：一個成員失敗，另一個遲到
#
# 另一個團隊的兩個成員加入了。一個會引發例外，另一個要花半分鐘：

# %%
def broken(rows):
    raise ConnectionError("the other team restarts its server")


def slow(rows):
    time.sleep(30)
    return ["Adelie"] * len(rows)


# %% [markdown]
# Deploy an ensemble of `tree`, `line`, `broken` and `slow` (under these names) as `service`, with
# the name "penguins" and `example=X_train`. The station waits half a second for its members, no
# longer, and does not want to hear of a member that is missing. Predict a few penguins, and look at
# the card: who is to blame?

# %% [markdown] lang="zh-TW"
# 把 `tree`、`line`、`broken` 和 `slow`（成員名稱也用這四個）組成的集成模型部署成 `service`，
# 名稱用 "penguins"，並加上 `example=X_train`。觀測站最多等成員半秒，多了不等；
# 少了哪個成員，它也不想知道。請預測幾隻企鵝，再看看卡片：問題出在誰身上？

# %%
# solution
members = {"tree": tree, "line": line, "broken": broken, "slow": slow}
service = deploy(Ensemble(members, deadline=0.5), name="penguins", example=X_train)
service.predict(X_test.head())

# %%
check("ex5.4", service)

# %% [markdown]
# ## Step 5: let a model decide
#
# A stack learns how far each member can be trusted. Make `stack` of `tree`, `line` and `near` with
# a `LogisticRegression` as its final model, and fit that one. On which rows? The members have seen
# `X_train`: of those rows they are too sure. Take the first half of the test data, and keep the
# second half for the score.

# %% [markdown] lang="zh-TW"
# ## 步驟 5：讓模型來決定
#
# 堆疊（stack）會學習每個成員可以信任到什麼程度。用 `tree`、`line` 和 `near` 做出 `stack`，
# 以 `LogisticRegression` 當最後的模型，並訓練這個最後的模型。用哪些資料列？成員看過 `X_train`，
# 對那些列太有把握。請用測試資料的前半，後半留著打分數。

# %%
half = len(X_test) // 2
# solution
stack = Ensemble(
    {"tree": tree, "line": line, "near": near}, "stack", final=LogisticRegression(max_iter=1000)
)
stack.fit_final(X_test[:half], y_test[:half])

# %%
check("ex5.5", stack)
print(f"the stack: {np.mean(stack.predict(X_test[half:]) == y_test[half:]):.1%}")

# %% [markdown]
# ## Step 6: a version like any other
#
# Save `ensemble` as version "1.0" and `stack` as version "1.1" in a `ModelVersionControl` in the
# folder `work/ex5/penguins`, both with `example=X_train`. Point the alias "production" to "1.0", then
# to "1.1", then roll it back.

# %% [markdown] lang="zh-TW"
# ## 步驟 6：和其他版本沒有兩樣
#
# 在資料夾 `work/ex5/penguins` 的 `ModelVersionControl` 裡，把 `ensemble` 存成版本 "1.0"、`stack` 存成版本 "1.1"，
# 兩者都帶 `example=X_train`。讓別名 "production" 先指向 "1.0"，再指向 "1.1"，然後退回去。

# %%
# solution
versions = ModelVersionControl("work/ex5/penguins")
for name, model in (("1.0", ensemble), ("1.1", stack)):
    versions.save_model_version(model, name, {}, example=X_train)
versions.set_alias("production", "1.0")
versions.set_alias("production", "1.1", why="it learns whom to trust")
versions.rollback("production", why="the stack needs more data")

# %%
check("ex5.6", versions)

# %% [markdown]
# One file holds all members, each in the format of its own library. Which members would you give a
# deadline, and which would you rather wait for?
#
# ## Clean up

# %% [markdown] lang="zh-TW"
# 一個檔案裝下所有成員，各自用自己函式庫的格式。哪些成員你會設期限，哪些你寧願等？
#
# ## 收拾

# %%
stop_all()
