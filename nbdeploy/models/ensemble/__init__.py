"""Several models that answer as one."""

from nbdeploy.models.ensemble.ensemble import Ensemble
from nbdeploy.models.ensemble.member_log import MemberCall, MemberLog

__all__ = ["Ensemble", "MemberCall", "MemberLog"]
