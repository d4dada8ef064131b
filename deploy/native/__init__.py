"""The stack of docker-compose.yaml as processes of this machine, without Docker: started from the file itself."""

from deploy.native.errors import StackError
from deploy.native.stack import Stack, running_stack

__all__ = ["Stack", "StackError", "running_stack"]
