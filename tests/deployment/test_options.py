"""What the overloads of deploy() promise."""

import inspect

from nbdeploy import deploy
from nbdeploy.deployment_options import DeployKeywords


def test_the_overloads_know_every_keyword_of_deploy_with_its_type():
    parameters = list(inspect.signature(deploy).parameters.values())[1:]

    types = {each.name: each.annotation for each in parameters}
    assert types == {
        name: each.__forward_arg__ for name, each in DeployKeywords.__annotations__.items()
    }
