"""Compiled prediction: the answers of scikit-learn's models at the price of their arithmetic."""

from __future__ import annotations

from nbdeploy.models.compiled.cells import plain_cells
from nbdeploy.models.compiled.model import CompiledModel, compile_model
from nbdeploy.models.compiled.outcomes import Declined
from nbdeploy.models.compiled.verification import verify

__all__ = ["CompiledModel", "Declined", "compile_model", "plain_cells", "verify"]
