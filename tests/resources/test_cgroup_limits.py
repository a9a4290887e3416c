"""Limits of control groups, on trees of files as the kernels and containers of the world show them."""

import pytest

from scorewise_actors.resources import cgroups
from scorewise_actors.resources.cgroups import cpu_quota, memory_group

MB = 1024 * 1024
SENTINEL = 9223372036854771712
V2 = "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"
V1 = (
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)


def v1_mount(root):
    return (
        f"32 31 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        f"35 31 0:32 {root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    )


@pytest.fixture
def machine(tmp_path):
    """Writes a machine's files below a folder and returns it."""

    def make(cgroup, mountinfo, files):
        files = {"proc/self/cgroup": cgroup, "proc/self/mountinfo": mountinfo, **files}
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(content))
        return tmp_path

    return make


def v1(group, limit, used=None, cache=0):
    folder = f"sys/fs/cgroup/memory{group}"
    return {
        f"{folder}/memory.limit_in_bytes": limit,
        f"{folder}/memory.usage_in_bytes": 100 * MB if used is None else used,
        f"{folder}/memory.stat": f"cache 1\ninactive_file 5\ntotal_inactive_file {cache}\n",
    }


def v2(group, limit, used=None, cache=0, high="max"):
    folder = f"sys/fs/cgroup{group}"
    return {
        f"{folder}/memory.max": f"{limit}\n",
        f"{folder}/memory.high": f"{high}\n",
        f"{folder}/memory.current": 100 * MB if used is None else used,
        f"{folder}/memory.stat": f"anon 1\ninactive_file {cache}\n",
    }


def limits(root):
    found = memory_group(root)
    return None if found is None else (found.limit, found.used)


CASES = {
    "v2: the own group": ("0::/app\n", V2, v2("/app", 512 * MB), (512, 100)),
    "v2: a group above is narrower": (
        "0::/slice/app\n",
        V2,
        v2("/slice", 256 * MB, 200 * MB, 50 * MB) | v2("/slice/app", 512 * MB),
        (256, 150),
    ),
    "v2: the own group is narrower": (
        "0::/slice/app\n",
        V2,
        v2("/slice", 900 * MB) | v2("/slice/app", 512 * MB, 20 * MB),
        (512, 20),
    ),
    "v2: no limit anywhere": ("0::/app\n", V2, v2("/app", "max"), None),
    "v2: the root has no files": ("0::/\n", V2, {"sys/fs/cgroup/cgroup.controllers": "memory"}, None),
    "v2: high slows down before max kills": ("0::/app\n", V2, v2("/app", 512 * MB, high=400 * MB), (400, 100)),
    "v2: a namespace shows its root as /": ("0::/\n", V2, v2("", 300 * MB), (300, 100)),
    "v2: a path outside of the namespace": ("0::/../other\n", V2, v2("", 300 * MB), (300, 100)),
    "v2: the host's path in a container": ("0::/system.slice/docker-1.scope\n", V2, v2("", 300 * MB), (300, 100)),
    "v2: usage cannot be read": ("0::/app\n", V2, {"sys/fs/cgroup/app/memory.max": 64 * MB}, (64, None)),
    "v2: caches are not in use": ("0::/app\n", V2, v2("/app", 512 * MB, 300 * MB, 290 * MB), (512, 10)),
    "v1: the own group": ("4:memory:/app\n", V1, v1("/app", 512 * MB, 300 * MB, 100 * MB), (512, 200)),
    "v1: the sentinel is no limit": ("4:memory:/app\n", V1, v1("/app", SENTINEL) | v1("", SENTINEL), None),
    "v1: a group above is narrower": (
        "4:memory:/pods/app\n",
        V1,
        v1("/pods/app", SENTINEL) | v1("/pods", 128 * MB) | v1("", SENTINEL),
        (128, 100),
    ),
    "v1: several controllers in one line": ("5:cpu,cpuacct:/x\n6:memory,hugetlb:/app\n", V1, v1("/app", MB), (1, 100)),
    "v1: a container's part is mounted": (
        "4:memory:/docker/ab12/sub\n",
        v1_mount("/docker/ab12"),
        v1("/sub", 128 * MB) | v1("", 256 * MB),
        (128, 100),
    ),
    "v1: a container's part is mounted, own group at its top": (
        "4:memory:/docker/ab12\n",
        v1_mount("/docker/ab12"),
        v1("", 256 * MB),
        (256, 100),
    ),
    "v1: a name that only begins the same": (
        "4:memory:/docker/ab123\n",
        v1_mount("/docker/ab12"),
        v1("", 256 * MB) | v1("3", MB),
        (256, 100),
    ),
    "hybrid: memory on v1, an empty v2": (
        "4:memory:/app\n1:name=systemd:/\n0::/\n",
        V1 + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        v1("/app", 512 * MB) | {"sys/fs/cgroup/unified/cgroup.procs": ""},
        (512, 100),
    ),
    "hybrid: both limit, the narrower counts": (
        "4:memory:/app\n0::/app\n",
        V1 + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        v1("/app", 512 * MB) | {f"sys/fs/cgroup/unified/app/memory.{name}": 64 * MB for name in ("max", "current")},
        (64, 64),
    ),
    "mount points with blanks": (
        "0::/app\n",
        V2.replace("/sys/fs/cgroup", "/sys/my\\040groups"),
        {"sys/my groups/app/memory.max": 64 * MB},
        (64, None),
    ),
    "nonsense in the files": ("0::/app\nnonsense\n", "x\n" + V2, v2("/app", "lots") | v2("", "-5"), None),
    "nothing there": ("", "", {}, None),
}


@pytest.mark.parametrize("case", CASES)
def test_the_narrowest_limit_counts(machine, case):
    """Own group and all above it, in every hierarchy; what is used is that of the group that limits."""
    cgroup, mountinfo, files, expected = CASES[case]
    assert limits(machine(cgroup, mountinfo, files)) == expected


MUTANTS = {
    "the sentinel is taken for a limit": ("_UNLIMITED", 1 << 64),
    "only the own group": ("_Hierarchy.groups", lambda self: iter((self.own,))),
    "the path is not made relative to the mount": ("_own_folder", lambda top, mounted, group: top / group.lstrip("/")),
    "octal is not read": ("_unescaped", lambda path: path),
    "caches count as used": ("_pairs", lambda file: {}),
    "the widest counts": ("min", max),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_planted_bugs_are_found(machine, tmp_path, monkeypatch, mutant):
    """Each of them breaks some case above."""
    name, planted = MUTANTS[mutant]
    target, _, attribute = name.rpartition(".")
    monkeypatch.setattr(getattr(cgroups, target) if target else cgroups, attribute, planted, raising=False)
    wrong = 0
    for number, (cgroup, mountinfo, files, expected) in enumerate(CASES.values()):
        root = tmp_path / str(number)
        prefixed = {f"{number}/{name}": content for name, content in files.items()}
        machine("", "", prefixed | {f"{number}/proc/self/cgroup": cgroup, f"{number}/proc/self/mountinfo": mountinfo})
        wrong += limits(root) != expected
    assert wrong


@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "files", "expected"),
    [
        ("0::/app\n", V2, {"sys/fs/cgroup/app/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", V2, {"sys/fs/cgroup/a/cpu.max": "50000 100000", "sys/fs/cgroup/a/b/cpu.max": "max 100000"}, 0.5),
        ("0::/app\n", V2, {"sys/fs/cgroup/app/cpu.max": "max 100000\n"}, None),
        (
            "3:cpu,cpuacct:/app\n",
            V1,
            {
                "sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us": 200000,
                "sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_period_us": 100000,
            },
            2.0,
        ),
        ("3:cpu,cpuacct:/app\n", V1, {"sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us": -1}, None),
    ],
)
def test_processor_quotas(machine, cgroup, mountinfo, files, expected):
    """In processors; None where there is none."""
    assert cpu_quota(machine(cgroup, mountinfo, files)) == expected


def test_this_machine_is_read_without_an_error():
    """Whatever it is: a limit is above 0, and what is used is within reason of it."""
    found = memory_group()
    assert found is None or (found.limit > 0 and (found.used is None or found.used >= 0))
