"""The documentation is true: its programs and commands run as they stand, its links lead somewhere, its tables hold."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import attrs
import pytest
from harness import DEADLINE

from bench.__main__ import BENCHES
from scorewise_actors import ExitCode, tree
from scorewise_actors.cli import exits
from scorewise_actors.cli.command_line import parser
from scorewise_actors.demo.league import League
from scorewise_actors.demo.site import LeagueSite

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
SITE = "http://127.0.0.1:8080"
"""Where the documents say that the built-in site is; the tests serve it elsewhere."""

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@attrs.frozen
class Block:
    """A fenced block of a document."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self):
        return f"{self.document}:{self.line}"

    @property
    def file(self):
        """The file that a program is saved as: its first line says so."""
        named = re.match(r"# (\w+\.py)\n", self.text)
        return named[1] if named else "example.py"

    @property
    def promised(self):
        """The lines that a program is said to print."""
        return [line.removeprefix("#> ") for line in self.text.splitlines() if line.startswith("#> ")]

    @property
    def commands(self):
        """The commands of a console block: each with its exit code and the lines that it is said to print."""
        commands = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                command, _, code = line.removeprefix("$ ").partition("  # exit code ")
                commands.append((command, int(code or 0), []))
            else:
                commands[-1][2].append(line)
        return commands


def blocks_of(document, text):
    return [
        Block(document, text.count("\n", 0, found.start()) + 1, found[1], found[2]) for found in FENCE.finditer(text)
    ]


BLOCKS = [
    block for path in DOCUMENTS for block in blocks_of(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
]


class Reader:
    """Somebody who types what a document says, in a folder of their own that has the document's programs."""

    def __init__(self, folder, site):
        self.folder = folder
        self.site = site
        programs = {"scorewise": "-m scorewise_actors", "python": ""}
        (folder / "bin").mkdir()
        for name, arguments in programs.items():
            program = folder / "bin" / name
            program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {arguments} "$@"\n')
            program.chmod(0o755)
        self.env = os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONUTF8": "1"}

    def save(self, blocks):
        for block in blocks:
            if block.language == "python":
                (self.folder / block.file).write_text(block.text.replace(SITE, self.site), encoding="utf-8")

    def type(self, command, code, promised):
        done = subprocess.run(
            ["bash", "-c", command.replace(SITE, self.site)],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=DEADLINE,
            check=False,
        )
        told = f"$ {command}\n{done.stdout}{done.stderr}"
        assert done.returncode == code, told
        printed = {" ".join(line.split()) for line in done.stdout.splitlines()}
        for line in promised:
            assert " ".join(line.replace(SITE, self.site).split()) in printed, f"{line!r} is not in\n{told}"

    def follow(self, block):
        if block.language == "python":
            self.type(f"python {block.file}", 0, block.promised)
        else:
            for command in block.commands:
                self.type(*command)


@pytest.fixture(scope="module")
def league_site():
    """What ``python -m scorewise_actors.demo.site`` serves."""
    with LeagueSite(League(7, matches=200)) as site:
        yield site


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language in {"python", "console"}], ids=str)
def test_an_example_runs_as_it_stands(tmp_path, league_site, block):
    """A python block is a whole program and prints what it promises; so does each command of a console block."""
    reader = Reader(tmp_path, league_site.url)
    reader.save(before for before in BLOCKS if before.document == block.document and before.line <= block.line)
    reader.follow(block)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```python\nimport no_such_package\n```\n", "no_such_package"),
        ("```python\nprint(1)\n#> 2\n```\n", "'2' is not in"),
        ("```console\n$ echo one\ntwo\n```\n", "'two' is not in"),
        ("```console\n$ exit 3\n```\n", "exit 3"),
        ("```console\n$ false  # exit code 3\n```\n", "false"),
    ],
)
def test_a_wrong_example_is_found(tmp_path, text, message):
    """The test above can fail: on an error, on other output, on another exit code."""
    (block,) = blocks_of("wrong.md", text)
    reader = Reader(tmp_path, SITE)
    reader.save([block])
    with pytest.raises(AssertionError, match=message):
        reader.follow(block)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_exist(path):
    """Every relative link of a document, from where the document is."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (path.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_and_tests_that_are_named_exist(path):
    """In backquotes: paths of this repository with a folder in front, and names of tests."""
    quoted = re.findall(r"`([^`\n]+)`", path.read_text(encoding="utf-8"))
    folders = ("policies/", "supervisors/", "scorewise_actors/", "tests/", "bench/", "docs/")
    named = [text for text in quoted if text.startswith(folders) and re.fullmatch(r"[\w./-]+", text)]
    assert [name for name in named if not (ROOT / name).exists()] == []
    tests = defined_tests(ROOT / "tests")
    assert [text for text in quoted if re.fullmatch(r"test_\w+", text) and text not in tests] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_test_commands_select_something(path):
    """``make test ARGS="PATH -k WORDS"``: the path is there, and each word is in the name of a test below it."""
    for arguments in re.findall(r'make test ARGS="([^"]+)"', path.read_text(encoding="utf-8")):
        place, *options = shlex.split(arguments)
        assert (ROOT / place).exists(), arguments
        words = set(options[1].split()) - {"or", "and", "not"} if options[:1] == ["-k"] else set()
        names = " ".join(defined_tests(ROOT / place))
        assert [word for word in words if word not in names] == [], arguments


def defined_tests(place):
    files = [place] if place.is_file() else place.rglob("test_*.py")
    return {
        name for file in files for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)
    }


def test_command_lines_in_the_text_can_be_parsed():
    """Each ``scorewise`` command in backquotes is one that the parser takes."""
    commands = {text for text in re.findall(r"`([^`\n]+)`", README) if re.match(r"scorewise [a-z]+", text)}
    assert len(commands) > 5
    for command in commands:
        parser().parse_args(shlex.split(command)[1:])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_benches_that_are_named_exist(path):
    """``python -m bench NAME``, wherever it stands."""
    named = set(re.findall(r"`python -m bench (\w+)", path.read_text(encoding="utf-8")))
    assert named <= {bench.name for bench in BENCHES}


def test_each_success_criterion_is_measured():
    """Six rows; each names a bench whose rows carry the criterion, or a test, and a figure."""
    text = (ROOT / "docs" / "resilience.md").read_text(encoding="utf-8")
    rows = table_after("criterion", text)
    assert [row[0] for row in rows] == [f"SC-00{n}" for n in range(1, 7)]
    tests = defined_tests(ROOT / "tests")
    for name, _, measured, figure in rows:
        assert figure
        benches = re.findall(r"python -m bench (\w+)", measured)
        assert all(name in (ROOT / "bench" / f"{bench}.py").read_text(encoding="utf-8") for bench in benches), name
        assert benches or set(re.findall(r"test_\w+", measured)) & tests, name


def table_after(heading, text=README):
    """The cells of the table whose head line begins with ``| heading``, without backquotes."""
    lines = text[text.index(f"\n| {heading}") + 1 :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_table_of_exit_codes_is_that_of_the_program():
    """Number, name and meaning of each, none more and none less."""
    expected = [[str(int(code)), code.name, meaning.replace("`", "")] for code, meaning in exits._meanings()]
    assert table_after("exit code") == expected
    assert [int(row[0]) for row in expected] == [int(code) for code in ExitCode]


def test_the_picture_of_the_tree_is_that_of_the_program():
    """The README shows the picture that stands where the tree is built."""
    picture = [line[4:] for line in (tree.__doc__ or "").splitlines() if line.startswith("    ")]
    assert len(picture) > 10
    assert "```\n" + "\n".join(picture) + "\n```" in README


def test_the_options_are_those_of_the_program():
    """Each option that the README lists, of ``run`` and of ``resume``."""
    names = [row[0].split()[0] for row in table_after("option")]
    assert names
    for command in ("run", "resume"):
        told = subprocess.run(
            [sys.executable, "-m", "scorewise_actors", command, "--help"], capture_output=True, text=True, check=True
        )
        assert [name for name in names if name not in told.stdout] == []


def test_the_versions_are_those_of_the_package():
    """Lower bound and tested release of each dependency, as the package's metadata and its remarks say."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    rows = table_after("package")
    assert len(rows) == len(wanted)
    for (name, bound, tested), requirement in zip(rows, wanted, strict=True):
        assert requirement.replace(">=", " ").replace(",<", ", below ") == f"{name.split()[0]} {bound}"
        assert re.search(rf'"{re.escape(requirement)}"\]?,?\s+# tested with {re.escape(tested)}\b', text), name
