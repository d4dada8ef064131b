"""What people and files say reaches a terminal as text, never as orders to it."""

import pytest

from nightglass.cli.common import print_result, visible
from nightglass.errors import InputError, StorageError

CLEARING = "\x1b[2J\x1b]0;title\x07night\x9b31m"


def test_what_a_terminal_would_obey_is_written_out():
    assert visible("a\tb\r\nc\x1b[31m\u202efdp.exe\u2028\x9b") == r"a\tb\r" + "\n" + r"c\x1b[31m\u202efdp.exe\u2028\x9b"
    assert visible("é 写真 😀 1\u202f000 s\n") == "é 写真 😀 1\u202f000 s\n"
    assert visible("\udce9.png") == r"\udce9.png"


@pytest.mark.parametrize("as_json", [True, False])
def test_results_are_told_without_orders(capsys, as_json):
    print_result({"note": CLEARING}, as_json=as_json, tell=lambda result: f"said: {result['note']}")
    out = capsys.readouterr().out
    assert not set(out) & {"\x1b", "\x07", "\x9b"}
    assert "night" in out


def test_an_error_is_one_line_without_orders(nightglass, tmp_path):
    file = tmp_path / "cells.yaml"
    file.write_text('images: "/x/{night}"\n"\\e[2Jkey\\u202e": 1\n')
    done = nightglass("score", "--images", "/x", "--model", "/x", "--out", tmp_path / "out", "--collection", file)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert r"unknown key '\x1b[2Jkey\u202e'" in done.stderr
    done = nightglass("verdict", "list", "--collection", "a\x1b[2J\nb")
    assert done.returncode == 1
    assert "\x1b" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_error_that_names_a_hostile_file_is_one_line_wherever_it_is_told():
    error = StorageError("s3://b/a\nERROR everything is fine\x1b[2J\u202egpj.exe: no answer")
    assert str(error) == r"s3://b/a\nERROR everything is fine\x1b[2J\u202egpj.exe: no answer"
    assert str(InputError("expected é, got 1\u202f000 €")) == "expected é, got 1\u202f000 €"
    assert str(InputError()) == ""
