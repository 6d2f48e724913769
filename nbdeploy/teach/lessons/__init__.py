"""The checks of the lessons, one module a lesson; see `nbdeploy.teach.steps`."""
