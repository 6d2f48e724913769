"""From a model to a folder that builds, and to a container that runs (chapter 3.1)."""
