"""A disk that records the system calls on it, and every state that a power cut may leave after them.

Directory entries that were not synced are there in part, in any order; writes that were not synced are there wholly,
not at all, in part, as zeros, or without one sector.
"""

import itertools
import os

import attrs

from scorewise_actors.checkpoints import Disk

HOWS = ("none", "all", "half", "prefix", "zeros", "sector")


@attrs.define
class File:
    """A file or directory as the disk has it, and what has not reached it yet."""

    data: bytearray = attrs.field(factory=bytearray)
    pending: list = attrs.field(factory=list)


@attrs.define
class Call:
    """One recorded call: on which inode, and what it does."""

    kind: str  # write, cut, sync of a file; name, unname, move, sync of a directory
    inode: int
    what: tuple = ()


class RecordingDisk(Disk):
    """The real disk, with a log; `forgets` names calls that are planted away: they seem to succeed and do nothing."""

    def __init__(self, forgets=()):
        self.log = []
        self.forgets = forgets
        self._files = {}
        self._sizes = {}

    def open(self, path, flags, mode=0o600):
        new = not path.exists()
        fd = super().open(path, flags, mode)
        self._files[fd] = (os.fstat(fd).st_ino, path.is_dir())
        if new:
            self._sizes[self._files[fd][0]] = 0
            self.log.append(Call("name", path.parent.stat().st_ino, (path.name, self._files[fd][0])))
        return fd

    def write(self, fd, data):
        written = super().write(fd, data)
        inode = self._files[fd][0]
        self.log.append(Call("write", inode, (self._sizes[inode], bytes(data[:written]))))
        self._sizes[inode] += written
        return written

    def ftruncate(self, fd, size):
        super().ftruncate(fd, size)
        self._sizes[self._files[fd][0]] = size
        self.log.append(Call("cut", self._files[fd][0], (size,)))

    def fsync(self, fd):
        inode, is_directory = self._files[fd]
        if ("directory" if is_directory else "file") not in self.forgets:
            self.log.append(Call("sync", inode))

    def fdatasync(self, fd):
        if "data" not in self.forgets:
            self.log.append(Call("sync", self._files[fd][0]))

    def mkdir(self, path):
        new = not path.exists()
        super().mkdir(path)
        if new:
            self.log.append(Call("name", path.parent.stat().st_ino, (path.name, path.stat().st_ino)))

    def rename(self, source, target):
        super().rename(source, target)
        self.log.append(Call("move", target.parent.stat().st_ino, (source.name, target.name)))

    def unlink(self, path):
        super().unlink(path)
        self.log.append(Call("unname", path.parent.stat().st_ino, (path.name,)))


def change_names(names, call):
    """What one call does to the entries of its directory."""
    if call.kind == "name":
        names[call.what[0]] = call.what[1]
    elif call.kind == "unname":
        names.pop(call.what[0], None)
    elif call.what[0] in names:
        names[call.what[1]] = names.pop(call.what[0])


def change_data(data, call):
    """What one call does to the bytes of its file."""
    start = call.what[0]
    if call.kind == "cut":
        del data[start:]
        return
    data.extend(bytes(max(0, start - len(data))))
    data[start : start + len(call.what[1])] = call.what[1]


def after_cut(file, how, rnd):
    """The bytes of a file after a power cut that treats its unsynced writes in one way."""
    data, pending = bytearray(file.data), file.pending
    if how == "prefix":
        pending = pending[: rnd.randrange(len(pending) + 1)]
    if how == "zeros":
        pending = [
            attrs.evolve(c, what=(c.what[0], bytes(len(c.what[1])))) if c.kind == "write" else c for c in pending
        ]
    if how == "half" and pending and pending[-1].kind == "write":
        start, content = pending[-1].what
        cut = attrs.evolve(pending[-1], what=(start, content[: rnd.randrange(len(content) + 1)]))
        pending = [*pending[:-1], cut]
    for call in pending if how != "none" else ():
        change_data(data, call)
    if how == "sector" and len(data) > len(file.data):
        place = rnd.randrange(len(file.data), len(data)) // 512 * 512
        first, last = max(place, len(file.data)), min(place + 512, len(data))
        data[first:last] = bytes(last - first)
    return bytes(data)


def disks_after(log, root, job, rnd):
    """The possible contents of the job's directory when the power fails after `log`; None when it is not there."""
    names, waiting, files = {}, {}, {}
    for call in log:
        if call.kind in ("write", "cut"):
            files.setdefault(call.inode, File()).pending.append(call)
        elif call.kind != "sync":
            waiting.setdefault(call.inode, []).append(call)
        elif call.inode in files:
            for write in files[call.inode].pending:
                change_data(files[call.inode].data, write)
            files[call.inode].pending = []
        else:
            for change in waiting.pop(call.inode, []):
                change_names(names.setdefault(call.inode, {}), change)
    if job.name not in names.get(root.inode, {}):
        yield None  # the entry of the whole directory may be lost
    mine = waiting.get(job.inode, [])
    choices = [mine[:count] for count in range(len(mine) + 1)]
    choices += [[call for call in mine if rnd.random() < 0.6] for _ in range(3)]
    for choice, how in itertools.product(choices, (*HOWS, "mix", "mix", "mix")):
        entries = dict(names.get(job.inode, {}))
        for call in choice:
            change_names(entries, call)
        yield {
            name: after_cut(files.get(inode, File()), rnd.choice(HOWS) if how == "mix" else how, rnd)
            for name, inode in entries.items()
        }


@attrs.frozen
class Place:
    """A directory."""

    name: str
    inode: int
