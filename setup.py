"""Let tools that still look for ``setup.py`` find the metadata in ``pyproject.toml``."""

from setuptools import setup

setup()
