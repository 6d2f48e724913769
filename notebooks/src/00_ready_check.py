# %% [markdown]
# # 0 Is this machine ready?
#
# After this notebook you know
#
# - whether your machine can run all lessons, or what to fix first,
# - how many processors are really yours,
# - how a task in these notebooks is checked.
#
# It takes five minutes.

# %% [markdown]
# ## One table
#
# A service needs a port, a folder to write to, some memory and its libraries. One call looks at
# all of it.

# %%
from nbdeploy.teach import check, hint, ready_check, report

ready = ready_check()
ready

# %% [markdown]
# Each row is *ok*, a *warning* or a *problem*. Beside a warning or a problem stands what to do.
# Warnings may stay: the lessons work, with a limit.
#
# Is everything there? Let the check say it.

# %%
check("00.1", ready)

# %% [markdown]
# Every task has such a check. It says what was expected, what came and where to look. It looks at
# what your objects *do*, so there is more than one right answer. Run it as often as you like.

# %% [markdown]
# ## How many processors are yours?
#
# A class often shares one big machine, and each of you gets a part of it. How many processors does
# Python see?

# %%
import os

os.cpu_count()

# %% [markdown]
# That is the number of the *machine*. In a container or on a hub your part may be smaller. A program
# that starts a worker for each processor of the machine is then slow, not fast.
#
# **Your turn.** Read in the table how many processors you may use. Write the number into
# `processors`, and call `check("00.2", processors)`. Stuck? `hint("00.2")` helps.

# %%
# Your turn. Mark the lines below, press Ctrl + / (Cmd + / on a Mac), and write your number.

# processors = ...
# check("00.2", processors)

# %% [markdown]
# *One answer is in the folded cell below.*

# %% jupyter={"source_hidden": true}
from nbdeploy.machine import usable_cpus

processors = usable_cpus()
check("00.2", processors)

# %% [markdown]
# ## Try the whole way once
#
# Does a service start here, and does it answer? The next cell deploys a small model, asks it for
# three flowers, and stops it.

# %%
from nbdeploy import deploy
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

X, y = load_iris(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=1000).fit(X, y)
with deploy(model, name="iris", example=X) as service:
    answer = service.predict(X.iloc[[0, 60, 140]])
assert list(answer) == [0, 1, 2]
answer

# %% [markdown]
# Three flowers, three classes: 0, 1 and 2. The `with` block stopped the service at its end.
#
# ## Your report
#
# `report()` writes a small file that you can hand in: which tasks you solved, and when.

# %%
report("work/00/report.json")

# %% [markdown]
# **Next:** the `quickstart`, if you have not done it, then `01_save_and_load`.
