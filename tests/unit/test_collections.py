from pathlib import Path

import pytest
import yaml

from nightglass.collections import Collection, find_collection_files, read_collection
from nightglass.errors import ConfigurationError

TEMPLATE = Path(__file__).parents[2] / "include/collections/template.yaml.example"


def write(folder: Path, text: str, name: str = "line-1.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_the_name_is_the_files_unless_it_says_otherwise(tmp_path: Path) -> None:
    assert read_collection(write(tmp_path, "images: /x/{night}")).name == "line-1"
    other = read_collection(write(tmp_path, "images: /x/{night}\nname: other"))
    assert (other.name, other.model_name) == ("other", "nightglass-other")


def test_the_template_shows_every_key_with_its_default() -> None:
    def keys(values: dict[str, object]) -> dict[str, object]:
        return {key: keys(value) if isinstance(value, dict) else None for key, value in values.items()}

    template = yaml.safe_load(TEMPLATE.read_text())
    collection = Collection.model_validate(template)
    assert keys(template) == keys(collection.model_dump())
    defaults = Collection(name=collection.name, images=collection.images)
    assert collection == defaults


def test_the_night_fills_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTGLASS_HOME", str(tmp_path))
    collection = read_collection(write(tmp_path, "images: ${NIGHTGLASS_HOME}/i/{night}"))
    assert collection.night_url("2026-03-02") == f"{tmp_path}/i/2026-03-02"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("images: /x/{night}\nname: Line 1", "name: expected lower-case letters"),
        ("images: /x/{night}\nname: ../../etc", "name: expected lower-case letters"),
        ("images: /x/{night}\ntimezone: Mars/Base", "timezone: expected an IANA time zone"),
        ("images: /x/{night}\nsuffixes: [jpg]", "suffixes: expected suffixes that start with a dot"),
        ("images: /x/{night}\nreadyy: {}", "unknown key 'readyy', did you mean 'ready'?"),
        ("images: /x/{night}\ndetector: {backbone: {nam: x}}", "did you mean 'name'?"),
        ("images: /x/{night}\nscoring: {top_k: 0}", "scoring.top_k"),
        ("images: !!python/object/apply:os.system ['true']", "syntax error at line 1"),
    ],
)
def test_wrong_files_say_what_is_wrong(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_collection(write(tmp_path, text))
    assert expected in str(refused.value)
    assert str(tmp_path / "line-1.yaml") in str(refused.value)
    assert "\n" not in str(refused.value)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"top_k.*timezone|timezone.*top_k"):
        read_collection(write(tmp_path, "images: /x/{night}\ntimezone: X/Y\nscoring: {top_k: -1}"))


def test_only_yaml_files_are_collections(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", ".hidden.yaml", "template.yaml.example", "notes.txt"):
        write(tmp_path, "images: x", name)
    assert [path.name for path in find_collection_files(tmp_path)] == ["a.yml", "b.yaml"]
