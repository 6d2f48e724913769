# %% [markdown]
# # Deploy a model: the course
#
# From a model in a notebook cell to a service that others call, that is watched, that has versions,
# and that grows with its callers. Each lesson follows a section of the chapter: it takes the
# chapter's own class apart, breaks it, and shows what `nbdeploy`'s class of the same name does about
# it.
#
# You need Python and a little scikit-learn. You need no account, no internet and no Docker.
#
# **Where am I?** This card knows what you solved, in all notebooks:

# %%
from nbdeploy.teach import progress

progress()

# %% [markdown]
# ## Start here
#
# | notebook | minutes | you can afterwards say |
# |---|---|---|
# | [00_ready_check](00_ready_check.ipynb) | 5 | my machine works, or I know what to fix first |
# | [quickstart](quickstart.ipynb) | 10 | I trained, deployed, asked, broke and stopped a service |
#
# ## Lessons
#
# | lesson | chapter | minutes | you can afterwards |
# |---|---|---|---|
# | [01_save_and_load](01_save_and_load.ipynb) | 1.1 | 30 | say why a pickle is a program, what a manifest protects, which format when |
# | [02_model_versions](02_model_versions.ipynb) | 1.2 | 30 | register, compare, give the live one a name, roll back |
# | [03_rest_service](03_rest_service.ipynb) | 2.1 | 35 | deploy, call, read a 422, read the OpenAPI page |
# | [04_monitoring](04_monitoring.ipynb) | 2.2 | 35 | read quantiles, error rate and drift; watch a dashboard; be alerted |
# | [05_docker](05_docker.ipynb) | 3.1 | 30 | say what each line of a Dockerfile is for, and what makes a build repeatable |
# | [06_kubernetes](06_kubernetes.ipynb) | 3.2 | 35 | read a Deployment, a Service, an HPA and probes; roll out and back |
# | [07_load_balancing](07_load_balancing.ipynb) | 4.1 | 30 | choose between turns, chance, weights and least request; say what a dead replica does |
# | [08_autoscaling](08_autoscaling.ipynb) | 4.2 | 30 | let a policy decide, see flapping, and stop it |
# | [09_capstone](09_capstone.ipynb) | all | 35 | bring a version to ten percent, notice that the world moved, go back |
#
# Take them in this order the first time. Short of time: 00, quickstart, 01, 03, 04. Lessons 05 and 06
# need no engine and no cluster.
#
# ## Exercises
#
# In a lesson you read and try; in an exercise you build. Each has five to seven steps, a check for
# each step, and hints that come one at a time. The solutions are in the folder `exercises/solutions`.
#
# | exercise | after lesson | minutes | you build |
# |---|---|---|---|
# | [ex1_full_flow](exercises/ex1_full_flow.ipynb) | 05 | 60 | the whole flow: a file, a service, a bundle for a container |
# | [ex2_rollback_and_ab](exercises/ex2_rollback_and_ab.ipynb) | 03 | 60 | versions with a way back, and an A/B test that you can trust |
# | [ex3_autoscaling](exercises/ex3_autoscaling.ipynb) | 08 | 60 | an autoscaler, and what it starts and stops |
# | [ex4_dashboard](exercises/ex4_dashboard.ipynb) | 04 | 60 | a dashboard with performance and predictions |
# | [ex5_ensemble](exercises/ex5_ensemble.ipynb) | 03 | 60 | one service of several models, also when one of them fails |
#
# ## How it works
#
# - **Shift + Enter** runs a cell. Run cells from the top; any cell may be run again.
# - A lesson breaks things on purpose. Red text below *Break it on purpose* is the lesson.
# - `check("03.1", ...)` looks at what your objects do, and says what is missing. `hint("03.1")` helps,
#   each time a little more.
# - Something is odd? *Kernel, Restart and Run up to Selected Cell*. What you solved stays solved.
# - Shut a notebook's kernel down when you are done: it takes memory.
#
# Your folder `work` holds what the notebooks write. This cell writes the report that you can hand in:

# %%
from nbdeploy.teach import report

report("work/report.json")

# %% [markdown]
# **More:** the [cheat sheet](cheat_sheet.md) has the whole course on one page. For teachers:
# [scripts, timing, questions](teacher/README.md).
