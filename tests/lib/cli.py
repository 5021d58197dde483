# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the stele command share: running it, checking how it ended, reaching into a log.

A test file puts this folder on its path, derives from Case, and ends with cli.main()."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

SOURCE = os.environ.get("STELE_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.environ.get("STELE_TOOL") or os.path.join(SOURCE, "build", "release", "stele")
SECONDS = 120  # a command that hangs must end the test long before a person looks

FINE, TORN, USAGE, CORRUPT, IO, LOCKED, TIMEOUT = 0, 1, 2, 3, 4, 5, 124


def environment(**changes):
    """The environment of a test: no terminal, no colour, plus changes (None removes a variable)."""
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "PMEM_IS_PMEM_FORCE")}
    env["TERM"] = "dumb"
    for key, value in changes.items():
        env.pop(key, None)
        if value is not None:
            env[key] = value
    return env


def lines(count, start=0):
    return [b"line %06d of the test" % i for i in range(start, start + count)]


def text(records):
    return b"".join(record + b"\n" for record in records)


class Case(unittest.TestCase):
    maxDiff = 2000

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="stele-cli.")
        self.log = os.path.join(self.dir, "log")
        self.running = []

    def tearDown(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream and not stream.closed:
                    try:
                        stream.close()
                    except BrokenPipeError:
                        pass
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def file(self, name, data):
        with open(self.path(name), "wb") as out:
            out.write(data)
        return self.path(name)

    def stele(self, *args, stdin=b"", code=FINE, env=None, **options):
        """Run the command to its end; it must end with `code`. Returns the completed process."""
        done = subprocess.run([TOOL, *args], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=env or environment(), timeout=SECONDS, check=False, **options)
        if done.returncode != code:
            self.fail(f"stele {' '.join(map(str, args))}: exit status {done.returncode}, not {code}\n"
                      f"stdout: {done.stdout[-1000:]!r}\nstderr: {done.stderr[-1000:]!r}")
        return done

    def complaint(self, *args, code=IO, **options):
        """Run a command that fails: it says why on stderr in the agreed form. Returns that text."""
        err = self.stele(*args, code=code, **options).stderr.decode()
        self.assertTrue(err.startswith(f"stele: {args[0]}: "), err)
        return err

    def json(self, *args, schema=None, **options):
        """Run with --json; stdout must be one document of one line. Returns it."""
        out = self.stele(*args, "--json", **options).stdout
        self.assertEqual(out.count(b"\n"), 1, out)
        document = json.loads(out)
        self.assertEqual(document["schema"], schema or f"stele.{args[0]}/1")
        return document

    def start(self, *args, env=None, **options):
        """Start the command with pipes; tearDown ends it."""
        options.setdefault("stdin", subprocess.PIPE)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        process = subprocess.Popen([TOOL, *args], env=env or environment(), **options)
        self.running.append(process)
        return process

    def end(self, process, code=FINE):
        """Wait for a started command; returns (stdout, stderr) as far as they are not read yet."""
        out, err = process.communicate(timeout=SECONDS)
        self.assertEqual(process.returncode, code, (out, err))
        return out, err

    def append(self, records, *args, **options):
        options.setdefault("env", None)
        return self.stele("append", "--create", *args, self.log, stdin=text(records), **options)

    def small_log(self, records, *args):
        """A log with segments of 64 KiB."""
        return self.append(records, "--segment-size", "64K", *args)

    def cat(self, *args, log=None, **options):
        return self.stele("cat", log or self.log, *args, **options).stdout

    def dump(self, where=None):
        """What stele dump sees, as a list of objects."""
        out = self.stele("dump", where or self.log, "--json").stdout
        items = [json.loads(line) for line in out.splitlines()]
        for item in items:
            self.assertEqual(item["schema"], "stele.dump/1")
        return items

    def segment(self, item):
        return os.path.join(self.log, item["segment"])

    def flip(self, path, offset, mask=1):
        """Flip bits of one byte of a file."""
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ mask]))

    def flip_record(self, index, mask=1):
        """Flip a bit in the payload of the record with this number. Returns its dump item."""
        item = [i for i in self.dump() if i["kind"] == "record"][index]
        self.flip(self.segment(item), item["offset"] + 16, mask)
        return item

    def tear(self):
        """Leave what a crash leaves: the beginning of a record behind the last one. Returns the LSN there."""
        last = [i for i in self.dump() if i["kind"] in ("record", "mark", "pad")][-1]
        size = 16 + (last["length"] + 7) // 8 * 8
        with open(self.segment(last), "r+b") as file:
            file.seek(last["offset"])
            head = file.read(16)
            file.seek(last["offset"] + size)
            file.write(head + b"torn")
        return last["lsn"] + size


def digest(directory):
    """Names, sizes and contents of a directory's files, as one value that shows any change."""
    found = {}
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        with open(path, "rb") as file:
            found[name] = hashlib.sha256(file.read()).hexdigest() if os.path.isfile(path) else "directory"
    return found


def read_line(process):
    """One line of a started command's stdout; it must come."""
    line = process.stdout.readline()
    if not line:
        raise AssertionError(f"the command ended: {process.wait()} {process.stderr.read()!r}")
    return line


def main():
    if not os.access(TOOL, os.X_OK):
        sys.exit(f"no stele command at {TOOL}: set STELE_TOOL")
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    unittest.main(verbosity=1)
