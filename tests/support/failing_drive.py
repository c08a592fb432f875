"""A folder whose files fail on demand: a FUSE file system in front of another folder.

As a program: failing_drive.py BACKING MOUNTPOINT SWITCH. While the file SWITCH exists, reads of data fail with EIO when
it says "read", writes when it says "write", both when it says "read write", lists of large objects when it says "list";
when it says "hang", nothing is answered.
"""

import contextlib
import errno
import os
import pathlib
import subprocess
import sys
import time

from support.program import ROOT, Program


class FailingDrive:
    """A context manager; `path` is what a node is given. Needs root, /dev/fuse and fusepy."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.path, self._backing, self._switch = (self.folder / name for name in ("drive", "backing", "switch"))

    def __enter__(self):
        for made in (self.path, self._backing):
            made.mkdir(parents=True)
        self._program = Program(["/usr/bin/python3", "-m", "support.failing_drive", self._backing, self.path, self._switch],
                                self.folder / "fuse.log", environment={"PYTHONPATH": str(ROOT / "tests")})
        self._program.start()
        self._program.wait_for(lambda: os.path.ismount(self.path), what="the drive")
        return self

    def fail(self, *what):
        self._switch.write_text(" ".join(what))

    def hang(self):
        self.fail("hang")

    def forget_pages(self):
        """What is not mapped is read again when it is asked for."""
        for path in self.path.rglob("*"):
            if path.is_file():
                with open(path, "rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def work(self):
        self._switch.unlink(missing_ok=True)

    def __exit__(self, *_):
        self.work()
        subprocess.run(["umount", "--lazy", self.path], check=False)
        with contextlib.suppress(AssertionError):
            self._program.stop()


def _serve(backing, mountpoint, switch):
    from fusepy import FUSE, FuseOSError, Operations

    class Files(Operations):
        use_ns = True
        flush = None  # else each close asks for it

        def __call__(self, op, *args):
            while pathlib.Path(switch).exists() and "hang" in pathlib.Path(switch).read_text().split():
                time.sleep(0.02)
            return super().__call__(op, *args)

        def _fails(self, what):
            try:
                if what in pathlib.Path(switch).read_text().split():
                    raise FuseOSError(errno.EIO)
            except FileNotFoundError:
                pass

        def _at(self, path):
            return os.path.join(backing, path.lstrip("/"))

        def getattr(self, path, fh=None):
            facts = os.lstat(self._at(path))
            return {key: getattr(facts, key) for key in (
                "st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks")} | {
                    "st_atime": facts.st_atime_ns, "st_mtime": facts.st_mtime_ns, "st_ctime": facts.st_ctime_ns}

        def readdir(self, path, fh):
            if path.startswith("/objects"):
                self._fails("list")
            return [".", "..", *os.listdir(self._at(path))]

        def mkdir(self, path, mode):
            os.mkdir(self._at(path), mode)

        def rmdir(self, path):
            os.rmdir(self._at(path))

        def unlink(self, path):
            os.unlink(self._at(path))

        def rename(self, old, new):
            os.rename(self._at(old), self._at(new))

        def chmod(self, path, mode):
            os.chmod(self._at(path), mode)

        def open(self, path, flags):
            return os.open(self._at(path), flags & ~os.O_NOFOLLOW)

        def create(self, path, mode, fi=None):
            return os.open(self._at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

        def read(self, path, size, offset, fh):
            self._fails("read")
            return os.pread(fh, size, offset)

        def write(self, path, data, offset, fh):
            self._fails("write")
            return os.pwrite(fh, data, offset)

        def truncate(self, path, length, fh=None):
            os.truncate(self._at(path) if fh is None else fh, length)

        def fsync(self, path, datasync, fh):
            self._fails("write")
            os.fsync(fh)

        def release(self, path, fh):
            os.close(fh)

    FUSE(Files(), mountpoint, foreground=True, nothreads=True, allow_other=True)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
