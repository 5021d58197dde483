# SPDX-License-Identifier: BSD-3-Clause
"""stele bench: what it reports and what it leaves behind. Never how fast it is."""

import ctypes
import os
import random
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cli  # noqa: E402


class Bench(cli.Case):
    def bench(self, *args):
        document = self.json("bench", self.dir, "--seconds", "0.05", "--segment-size", "1M", *args)
        self.assertEqual(os.listdir(self.dir), [])
        return document

    def test_every_combination_is_reported(self):
        document = self.bench("--size", "0,64,1K", "--threads", "1,3")
        self.assertEqual([(run["size"], run["threads"], run["sync"]) for run in document["runs"]],
                         [(size, threads, "each") for threads in (1, 3) for size in (0, 64, 1024)])
        self.assertIn(document["durability"], ("msync", "pmem"))
        for run in document["runs"]:
            latency = run["latency_ns"]
            self.assertGreater(run["operations"], 0)
            self.assertTrue(0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p999"] <= latency["max"])
            self.assertAlmostEqual(run["bytes_per_second"], run["size"] * run["ops_per_second"], delta=1)
            self.assertAlmostEqual(run["ops_per_second"] * run["seconds"], run["operations"], delta=1)

    def test_the_machine_is_described(self):
        machine = self.bench()["machine"]
        self.assertEqual(machine["cpus"], len(os.sched_getaffinity(0)) if machine["cpus"] == 0 else os.cpu_count())
        self.assertIn(os.uname().release, machine["kernel"])
        for key in ("cpu", "file_system", "source", "mount_options"):
            self.assertTrue(machine[key], key)
        self.assertGreater(machine["memory_bytes"], 1 << 20)

    def test_each_kind_of_sync_runs_with_every_class(self):
        for sync in ("each", "group", "none"):
            for durability in ("msync", "none"):
                document = self.bench("--sync", sync, "--durability", durability, "--threads", "2")
                self.assertEqual((document["durability"], document["runs"][0]["sync"]), (durability, sync))
                self.assertGreater(document["runs"][0]["operations"], 0)

    def test_a_rate_bounds_the_operations(self):
        run = self.json("bench", self.dir, "--seconds", "0.2", "--rate", "500", "--threads", "2", "--segment-size", "1M",
                        "--durability", "none")["runs"][0]
        self.assertEqual(run["rate"], 500)
        self.assertTrue(0 < run["operations"] <= 500 * run["seconds"] + 2, run)

    def test_latency_counts_from_when_an_append_was_due(self):
        # At a rate that nothing reaches every append is due at the start: half of them wait for half of the run.
        run = self.json("bench", self.dir, "--seconds", "0.2", "--rate", "1000000000", "--segment-size", "1M")["runs"][0]
        self.assertGreater(run["latency_ns"]["max"], 0.9e9 * run["seconds"])
        self.assertGreater(run["latency_ns"]["p50"], 0.1e9 * run["seconds"])

    def test_the_table_has_a_row_for_each_run(self):
        out = self.stele("bench", self.dir, "--seconds", "0.05", "--size", "64,128", "--segment-size", "1M").stdout
        rows = [line.split() for line in out.decode().splitlines()]
        self.assertEqual([row[:3] for row in rows[-2:]], [["64", "1", "each"], ["128", "1", "each"]])
        self.assertIn("durability", rows[2])

    def test_a_directory_is_made_and_removed(self):
        place = self.path("new")
        self.json("bench", place, "--seconds", "0.01", "--segment-size", "64K")
        self.assertFalse(os.path.exists(place))
        self.complaint("bench", self.path("no/parent"))
        self.complaint("bench", self.file("plain", b""))

    def test_a_record_that_cannot_be_is_wrong_usage(self):
        self.stele("bench", self.dir, "--size", "64K", "--segment-size", "64K", code=cli.USAGE)
        self.assertEqual(os.listdir(self.dir), [])

    def test_a_signal_ends_it_with_what_was_measured(self):
        process = self.start("bench", self.dir, "--seconds", "600", "--segment-size", "64K")
        for _ in range(5):
            cli.read_line(process)  # the head is printed before the run
        process.send_signal(signal.SIGINT)
        out, _ = self.end(process, 130)
        self.assertRegex(out.decode(), r"(?m)^ +128 +1 +each +\d+")
        self.assertEqual(os.listdir(self.dir), [])


class Histogram(unittest.TestCase):
    """The histogram behind the percentiles, called directly."""

    BUCKETS = (64 - 7 + 1) << 7

    class Hdr(ctypes.Structure):
        pass

    @classmethod
    def setUpClass(cls):
        cls.Hdr._fields_ = [("total", ctypes.c_uint64), ("max", ctypes.c_uint64),
                            ("counts", ctypes.c_uint64 * cls.BUCKETS)]
        cls.dir = cli.tempfile.mkdtemp(prefix="stele-hdr.")
        library = os.path.join(cls.dir, "hdr.so")
        subprocess.run(["cc", "-std=c11", "-O1", "-shared", "-fPIC", "-o", library,
                        os.path.join(cli.SOURCE, "tools/stele/hdr.c")], check=True)
        cls.c = ctypes.CDLL(library)
        cls.c.hdr_add.argtypes = [ctypes.POINTER(cls.Hdr), ctypes.c_uint64]
        cls.c.hdr_merge.argtypes = [ctypes.POINTER(cls.Hdr)] * 2
        cls.c.hdr_percentile.argtypes = [ctypes.POINTER(cls.Hdr), ctypes.c_double]
        cls.c.hdr_percentile.restype = ctypes.c_uint64

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.dir)

    def of(self, values):
        hdr = self.Hdr()
        for value in values:
            self.c.hdr_add(hdr, value)
        return hdr

    def test_one_value_is_off_by_less_than_one_percent(self):
        powers = [2**e + d for e in range(64) for d in (-1, 0, 1) if 0 <= 2**e + d < 2**64]
        for value in list(range(600)) + powers:
            hdr = self.of([value, 2**64 - 1])  # the largest value does not bound the bucket
            got = self.c.hdr_percentile(hdr, 0.5)
            self.assertTrue(value <= got <= value + value // 128, (value, got))
            self.assertEqual(self.c.hdr_percentile(self.of([value]), 0.5), value)

    def test_percentiles_are_those_of_the_sorted_values(self):
        rng = random.Random(7)
        values = sorted(int(rng.lognormvariate(10, 3)) for _ in range(5000))
        hdr, other = self.of(values[::2]), self.of(values[1::2])
        self.c.hdr_merge(hdr, other)
        self.assertEqual((hdr.total, hdr.max), (5000, values[-1]))
        for share in (0, 0.0002, 0.5, 0.9, 0.99, 0.999, 1):
            exact = values[max(0, -(-int(share * 10000) * 5000 // 10000) - 1)]
            got = self.c.hdr_percentile(hdr, share)
            self.assertTrue(exact <= got <= exact + exact // 128, (share, exact, got))

    def test_an_empty_histogram_is_zero(self):
        self.assertEqual(self.c.hdr_percentile(self.of([]), 0.5), 0)


if __name__ == "__main__":
    cli.main()
