"""Which browser is found, under which name, and what a doctor is told."""

import subprocess
from pathlib import Path

import pytest

from scorewise_actors.browser import executables
from scorewise_actors.browser.errors import BrowserNotFound
from scorewise_actors.browser.executables import find_executable, inspect_environment, install_commands, real_binary


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without any browser; ``put`` installs fakes that answer --version."""
    monkeypatch.setattr(executables, "_SHELL_PATHS", (str(tmp_path / "lib/chromium-headless-shell"),))
    monkeypatch.setattr(executables, "_BROWSER_PATHS", (str(tmp_path / "opt/chrome"),))

    class Machine:
        def __init__(self):
            self.environ = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}

        def put(self, path, says="Chromium 1.2.3"):
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            # not a script with a #! line, which would count as a wrapper around something else
            file.write_text(f"[ \"$1\" = --version ] && echo '{says}'\n")
            file.chmod(0o755)
            return file

        def find(self, explicit=None, **environ):
            found = find_executable(explicit, {**self.environ, **environ})
            return str(Path(found.path).relative_to(tmp_path)), found.kind, found.source, found.version

    real_run = subprocess.run
    monkeypatch.setattr(
        executables.subprocess, "run", lambda command, **options: real_run(["/bin/sh", *command], **options)
    )
    return Machine()


def test_the_order_of_preference(machine):
    """From the last resort to the first choice, each found one displaces the one before."""
    cache = ".cache/ms-playwright"
    steps = [
        (f"{cache}/chromium-1200/chrome-linux/chrome", ("chromium", "Playwright")),
        ("opt/chrome", ("chrome", "system")),
        ("bin/google-chrome", ("chrome", "PATH")),
        ("bin/chromium", ("chromium", "PATH")),
        ("bin/chrome-headless-shell", ("headless-shell", "PATH")),
        ("lib/chromium-headless-shell", ("headless-shell", "system")),
        (f"{cache}/chromium_headless_shell-999/chrome-linux/headless_shell", ("headless-shell", "Playwright")),
        (f"{cache}/chromium_headless_shell-1200/chrome-linux/headless_shell", ("headless-shell", "Playwright")),
    ]
    for path, (kind, source) in steps:
        machine.put(path)
        assert machine.find() == (path, kind, source, "Chromium 1.2.3")
    mine = machine.put("mine/chrome", "Google Chrome 9")
    assert machine.find(SCOREWISE_BROWSER=str(mine)) == (
        "mine/chrome",
        "chrome",
        "SCOREWISE_BROWSER",
        "Google Chrome 9",
    )
    other = machine.put("other/chromium")
    assert machine.find(str(other), SCOREWISE_BROWSER=str(mine))[:3] == (
        "other/chromium",
        "chromium",
        "given explicitly",
    )


def test_playwrights_folder_can_be_elsewhere(machine, tmp_path):
    """PLAYWRIGHT_BROWSERS_PATH is heeded."""
    machine.put("elsewhere/chromium_headless_shell-1/linux/headless_shell")
    assert machine.find(PLAYWRIGHT_BROWSERS_PATH=str(tmp_path / "elsewhere"))[2] == "Playwright"


def test_a_browser_that_does_not_start_is_passed_over(machine):
    """Found is not enough: it must answer --version. The error says what each place lacked."""
    broken = machine.put("lib/chromium-headless-shell")
    broken.write_text("exit 1\n")
    locked = machine.put("bin/chromium")
    locked.chmod(0o644)
    with pytest.raises(BrowserNotFound) as caught:
        machine.find()
    text = str(caught.value)
    assert f"{broken} (system): does not start" in text
    assert "PATH for chromium-headless-shell" in text
    assert "$ scorewise doctor --install" in text
    assert "$ playwright install chromium-headless-shell" in text
    assert "apt-get install chromium-headless-shell" in text
    machine.put("opt/chrome")
    assert machine.find()[0] == "opt/chrome"


@pytest.mark.parametrize("by", ["argument", "variable"])
def test_a_named_browser_is_never_replaced_by_another(machine, tmp_path, by):
    """A wrong path is an error even where other browsers are."""
    machine.put("lib/chromium-headless-shell")
    wrong = str(tmp_path / "wrong")
    with pytest.raises(BrowserNotFound, match=r"wrong .*: not there"):
        machine.find(wrong) if by == "argument" else machine.find(SCOREWISE_BROWSER=wrong)


def test_a_wrapper_script_is_resolved_to_the_binary(tmp_path):
    """A wrapper that does not exec would have the pid of a shell."""
    binary = tmp_path / "lib" / "chromium-shell"
    binary.parent.mkdir()
    binary.write_bytes(b"\x7fELF")
    binary.chmod(0o755)
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh -e\n\n{binary} "$@"\n')
    link = tmp_path / "link"
    link.symlink_to(wrapper)
    assert real_binary(link) == binary
    lonely = tmp_path / "lonely"
    lonely.write_text("#!/bin/sh\necho\n")
    assert real_binary(lonely) == lonely


def test_this_machine_has_a_browser_that_starts():
    """The real thing: an absolute path of a binary, with a version."""
    found = find_executable()
    assert Path(found.path).is_absolute()
    with Path(found.path).open("rb") as file:
        assert file.read(2) != b"#!"
    assert any(character.isdigit() for character in found.version)


def test_the_doctor_finds_this_machine_well():
    """Every finding has a detail, and a remedy exactly when it is not ok."""
    findings = inspect_environment()
    assert [finding.name for finding in findings] == ["python", "playwright", "browser", "shared memory", "open files"]
    assert all(finding.detail for finding in findings)
    assert all(bool(finding.remedy) != finding.ok for finding in findings)
    assert all(finding.ok for finding in findings[:3])


def test_the_doctor_says_what_is_missing(machine, monkeypatch):
    """No browser, a driver that does not start, a tiny shared memory, few files: each with its remedy."""
    monkeypatch.setattr(executables, "_run", lambda *command: None)
    monkeypatch.setattr(executables, "_MIN_SHM_MIB", 2**40)
    monkeypatch.setattr(executables, "_MIN_FILES", 2**40)
    monkeypatch.setattr(executables.resource, "getrlimit", lambda _: (256, 256))
    python, *others = inspect_environment(machine.environ)
    assert python.ok
    assert [finding.ok for finding in others] == [False] * 4
    assert [finding.remedy.split()[0] for finding in others] == ["pip", "scorewise", "docker", "ulimit"]


@pytest.mark.parametrize(
    ("root", "policy", "programs"),
    [
        (True, "Candidate: 141", ["apt-get", "with-deps", "plain"]),
        (True, "Candidate: (none)", ["with-deps", "plain"]),
        (True, None, ["with-deps", "plain"]),
        (False, "Candidate: 141", ["plain"]),
    ],
)
def test_install_commands_fit_the_machine(monkeypatch, root, policy, programs):
    """apt only as root and where it has the package; Playwright's own install otherwise."""
    monkeypatch.setattr(executables.os, "geteuid", lambda: 0 if root else 1000)
    monkeypatch.setattr(executables.shutil, "which", lambda _: "/usr/bin/apt-get")
    monkeypatch.setattr(executables, "_run", lambda *command: policy)
    commands = install_commands()
    names = [
        "apt-get" if command[0] == "apt-get" else "with-deps" if "--with-deps" in command else "plain"
        for command in commands
    ]
    assert names == programs
    assert all(command[-1] == "chromium-headless-shell" for command in commands)
