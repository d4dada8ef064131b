"""Read one small YAML file as people mean it: no key twice, no aliases, nothing but plain data.

An alias lets ten lines stand for gigabytes as soon as somebody prints what they mean, and of a key that stands there
twice YAML's own readers silently take the last.
"""

from pathlib import Path
from typing import Any

import yaml

from nightglass.errors import ConfigurationError

_MOST_BYTES = 256 * 1024


class _StrictLoader(yaml.SafeLoader):
    """YAML's safe loader, which builds no objects, without aliases and double keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="an alias", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value[:60]!r} twice", problem_mark=key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def read_mapping(path: Path) -> dict[Any, Any]:
    """Return the mapping that a YAML file of at most 256 KiB holds.

    Raises:
        ConfigurationError: The file is missing or too large, is no YAML mapping, has a key twice, or has aliases.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ConfigurationError(f"{path}: expected at most {_MOST_BYTES:,} bytes of YAML, got more")
        raw = yaml.load(data.decode("utf-8"), Loader=_StrictLoader)  # noqa: S506  a safe loader, only stricter
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: expected a readable YAML file, got {error}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: expected YAML, got {_tell(error)}") from error
    except (ValueError, RecursionError) as error:  # a date that is none, a file that is nested without end
        raise ConfigurationError(f"{path}: expected YAML, got {type(error).__name__}: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigurationError(f"{path}: expected a mapping of settings, got {type(raw).__name__}")
    return raw


def _tell(error: yaml.YAMLError) -> str:
    """Return what is wrong and where; the words of YAML's own errors say more of its parser than of the file."""
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    is_ours = type(error) is yaml.MarkedYAMLError
    problem = error.problem if is_ours and isinstance(error, yaml.MarkedYAMLError) else "a syntax error"
    return f"{problem} at line {mark.line + 1}" if mark else str(problem)
