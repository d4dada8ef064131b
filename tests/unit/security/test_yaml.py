"""A collection's file: whoever may edit it decides much, but by what it says, not by tricks of its format."""

from pathlib import Path

import pytest

from nightglass.collections import read_collection
from nightglass.errors import ConfigurationError

NIGHT = "images: /x/{night}\n"
TENFOLD = "".join(f" - &{chr(98 + level)} [{','.join(['*' + chr(97 + level)] * 9)}]\n" for level in range(12))


def read(folder, text):
    (folder / "cells.yaml").write_text(text)
    return read_collection(folder / "cells.yaml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (NIGHT + "images: /else/{night}\n", r"got the key 'images' twice at line 2"),
        (NIGHT + "scoring:\n  top_k: 5\n  pool: a\n  top_k: 900\n", r"got the key 'top_k' twice at line 5"),
        (NIGHT + "scoring: {top_k: 5, 'top_k': 900}\n", r"got the key 'top_k' twice at line 2"),
        (NIGHT + "suffixes:\n - &a [x,x,x,x,x,x,x,x,x]\n" + TENFOLD, r"got an alias at line 4"),
        (NIGHT + "description: &a [*a]\n", r"got an alias at line 2"),
        (NIGHT + "ready: &r {quiet_minutes: 1}\nscoring: {<<: *r}\n", r"got an alias at line 3"),
        (NIGHT + "description: !!python/object/apply:os.system ['true']\n", r"a syntax error at line 2"),
        (NIGHT + "description: !!python/name:os.system\n", r"a syntax error at line 2"),
        (NIGHT + f"description: {'[' * 20_000}{']' * 20_000}\n", r"RecursionError"),
        (NIGHT + f"description: '{'a' * 300_000}'\n", r"at most 262,144 bytes"),
        (NIGHT + f"scoring: {{top_k: {'9' * 5000}}}\n", r"ValueError"),
        (NIGHT + "scoring: {max_pixels: 99999999999}\n", r"max_pixels: Input should be less than"),
        ("? [a, b]\n: 1\n" + NIGHT, r"expected YAML"),
        (NIGHT + "name: ../../etc\n", r"name: expected lower-case letters"),
        (NIGHT + "model: ../other@champion\n", r"model: "),
    ],
)
def test_a_file_that_is_no_plain_data_is_one_clear_line(tmp_path, text, problem):
    with pytest.raises(ConfigurationError, match=problem) as refused:
        read(tmp_path, text)
    assert len(str(refused.value)) < 1000


def test_anchors_and_values_that_stand_twice_are_no_matter(tmp_path):
    found = read(tmp_path, NIGHT + "description: &said 'x'\nsuffixes: [.png, .jpg, .png]\n")
    assert found.description == "x"


def test_every_file_of_the_repository_is_read_by_the_same_rules():
    folder = Path(__file__).resolve().parents[3] / "include" / "collections"
    files = [*folder.glob("*.yaml"), *folder.glob("*.example")]
    assert files
    for file in files:
        assert read_collection(file).images
