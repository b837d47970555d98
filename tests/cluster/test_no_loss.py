"""The proof of no loss: numbered entries of real journals, forwarded to a strict far side that does everything wrong, by an
opsd that is killed at random moments. tests/bench/kill-matrix is the same with 500,000 entries and 1,000 kills."""

import glob
import json
import os
import re
import time
import unittest

from harness import NodeTest, eventually
from no_loss import BATCH, Rig, export_text

ENTRIES = int(os.environ.get("OPSD_NO_LOSS_ENTRIES", "20000"))
KILLS = int(os.environ.get("OPSD_NO_LOSS_KILLS", "20"))
START = 1_790_000_000_000_000
PATIENCE = 120 + ENTRIES // 1000


class NoLoss(unittest.TestCase):
    def rig(self, entries=ENTRIES):
        rig = Rig()
        self.addCleanup(self.remember, rig)
        self.addCleanup(self.memory_was_bounded, rig)
        self.addCleanup(rig.__exit__)
        rig.watch_memory()
        if entries:
            rig.write(export_text(0, entries, START))
        return rig

    def memory_was_bounded(self, rig):
        """In each case, whatever else it looks at."""
        self.assertGreater(rig.most_mib, 0, "the memory of opsd was never measured")
        self.assertLessEqual(rig.most_mib, 64)

    def remember(self, rig):
        """What kill-matrix shows of each case."""
        if report := os.environ.get("OPSD_NO_LOSS_REPORT"):
            with open(report, "a", encoding="utf-8") as file:
                file.write(f"  {self.id().rpartition('.')[2]:<64} {rig.most_mib:>6.1f} MiB, {rig.kills} kills\n")

    def arrives(self, rig, total=ENTRIES, poisoned=0):
        eventually(lambda: len(rig.server.documents) + len(rig.server.poisoned) >= total, PATIENCE, 0.2)
        status = rig.settled(PATIENCE)
        self.assertEqual(status["in"], status["acknowledged"] + status["pending"] + status["dead_lettered"] + status["lost"])
        self.assertEqual((status["dead_lettered"], status["lost"]), (poisoned, 0) if poisoned else (0, 0))

    def test_no_fault(self):
        rig = self.rig()
        rig.start()
        self.arrives(rig)
        rig.judge(self, ENTRIES)
        self.assertEqual(rig.server.arrivals, ENTRIES)

    def test_killed_at_random_moments(self):
        rig = self.rig()
        rig.killed_at_random(KILLS, ENTRIES)
        self.arrives(rig)
        rig.judge(self, ENTRIES)

    def test_items_answered_429(self):
        rig = self.rig()
        rig.server.faults.item_429 = 0.05
        rig.killed_at_random(KILLS, ENTRIES, seed=2)
        eventually(lambda: len(rig.server.documents) >= ENTRIES * 9 // 10, PATIENCE, 0.2)
        rig.server.faults.item_429 = 0.0
        self.arrives(rig)
        rig.judge(self, ENTRIES)

    def away(self, fault, seconds=12, kills=4):
        """The far side answers so for a while, in the middle of the work and across kills."""
        rig = self.rig()
        rig.start()
        eventually(lambda: rig.server.documents, PATIENCE, 0.005)
        rig.server.faults.status = fault
        for _ in range(kills):
            time.sleep(seconds / (kills + 1))
            rig.kill()
            rig.kills += 1
            rig.start()
        time.sleep(seconds / (kills + 1))
        self.assertGreater(rig.status()["lag_entries"], 0)
        rig.server.faults.status = None
        self.arrives(rig)
        rig.judge(self, ENTRIES)

    def test_503_with_a_body(self):
        self.away((503, '{"error":{"type":"cluster_block_exception"},"status":503}'))

    def test_503_without_a_body(self):
        self.away((503, ""))

    def test_429_for_the_request(self):
        self.away((429, '{"error":{"type":"es_rejected_execution_exception"},"status":429}'))

    def test_answers_that_break_off(self):
        rig = self.rig()
        rig.server.faults.drop = 0.3
        rig.start()
        eventually(lambda: len(rig.server.documents) >= ENTRIES * 8 // 10, PATIENCE, 0.2)
        rig.server.faults.drop = 0.0
        self.arrives(rig)
        rig.judge(self, ENTRIES, repeated_requests=rig.server.requests)

    def test_a_far_side_that_accepts_and_never_answers(self):
        rig = self.rig()
        rig.start()
        eventually(lambda: rig.server.documents, PATIENCE, 0.005)
        rig.server.faults.hang = True
        eventually(lambda: rig.status()["error"], 30)
        rig.server.faults.hang = False
        self.arrives(rig)
        rig.judge(self, ENTRIES, repeated_requests=rig.server.requests)

    def test_bodies_that_are_too_large(self):
        rig = self.rig()
        rig.server.faults.largest = 40_000
        rig.killed_at_random(KILLS // 4, ENTRIES, seed=3)
        self.arrives(rig)
        rig.judge(self, ENTRIES)
        self.assertLess(rig.server.largest_batch, BATCH + 1)

    def test_poisoned_records_become_dead_letters_and_the_rest_arrives(self):
        rig = self.rig()
        rig.server.faults.poison = lambda document: document["message"].split()[1].endswith("777")
        rig.killed_at_random(KILLS // 4, ENTRIES, seed=4)
        poisoned = len([n for n in range(ENTRIES) if str(n).endswith("777")])
        eventually(lambda: len(rig.server.documents) >= ENTRIES - poisoned, PATIENCE, 0.2)
        rig.settled(PATIENCE)
        rig.judge(self, ENTRIES, poisoned=poisoned)
        letters = rig.ask("/api/v1/forward/elk/dead-letters")
        self.assertIn("mapper_parsing_exception", letters)

    def test_torn_position_files(self):
        rig = self.rig()

        def tear(rig):
            files = sorted(glob.glob(f"{rig.state}/forward/*position*"), key=os.path.getmtime)
            if files:   # the newest one, as by a disk that lied about what it had written
                os.truncate(files[-1], os.path.getsize(files[-1]) // 2)

        rig.killed_at_random(KILLS, ENTRIES, seed=5, between=tear)
        self.arrives(rig)
        # The position before the newest is used: up to a second of work is sent again.
        rig.judge(self, ENTRIES, repeated_requests=rig.server.requests)

    def test_a_disk_too_full_for_the_position(self):
        rig = self.rig()
        rig.start()
        eventually(lambda: rig.server.documents, PATIENCE, 0.005)
        rig.kill()
        rig.kills += 1
        forward = f"{rig.state}/forward"
        os.rename(forward, forward + ".away")
        with open(forward, "w", encoding="utf-8"):   # a file where the folder was: nothing can be saved
            pass
        rig.start()
        time.sleep(2)
        rig.kill()
        rig.kills += 1
        os.remove(forward)
        os.rename(forward + ".away", forward)
        rig.start()
        self.arrives(rig)
        rig.judge(self, ENTRIES, repeated_requests=rig.server.requests)

    def rig_on_a_small_disk(self):
        if os.geteuid() != 0:
            self.skipTest("NOT RUN: a full disk needs root, for a small file system of its own")
        rig = self.rig()
        return rig, rig.small_disk("256k")

    def test_a_full_disk_for_the_position(self):
        rig, disk = self.rig_on_a_small_disk()
        rig.start()
        eventually(lambda: glob.glob(f"{disk}/elk.position.*"), PATIENCE, 0.005)
        rig.fill_disk(disk)
        eventually(lambda: "No space left" in rig.status()["last_error"], PATIENCE, 0.1)
        eventually(lambda: len(rig.server.documents) == ENTRIES, PATIENCE, 0.1, "what is sent does not wait for the disk")
        rig.kill()   # what was delivered since is repeated, as the position could not say so
        rig.kills += 1
        rig.start()
        eventually(lambda: rig.status()["acknowledged"] > 0, PATIENCE, 0.1)
        os.remove(f"{disk}/filler")
        self.arrives(rig)
        rig.judge(self, ENTRIES, repeated_requests=rig.server.requests)
        arrivals = rig.server.arrivals
        time.sleep(1.5)   # the position is saved each second
        rig.kill()
        rig.start()
        rig.settled(PATIENCE)
        self.assertEqual(rig.server.arrivals, arrivals, "the position was saved once there was room")

    def test_a_full_disk_for_dead_letters(self):
        rig, disk = self.rig_on_a_small_disk()
        rig.server.faults.poison = lambda document: document["message"].split()[1].endswith("7777")
        rig.server.faults.status = (503, "")
        rig.start()
        eventually(lambda: rig.status()["error"], PATIENCE, 0.1)
        rig.fill_disk(disk)
        rig.server.faults.status = None
        stalled = eventually(lambda: (s := rig.status())["state"] == "failed" and s, PATIENCE, 0.1)
        self.assertRegex(stalled["error"], "No space left.*nothing is sent meanwhile: free space")
        self.assertIn("opsd_forward_failed{output=\"elk\"} 1", rig.ask("/metrics"))
        for _ in range(3):   # nothing is passed over, whatever happens to opsd
            rig.kill()
            rig.kills += 1
            rig.start()
            eventually(lambda: rig.status()["state"] == "failed", PATIENCE, 0.1)
        os.remove(f"{disk}/filler")
        poisoned = len([n for n in range(ENTRIES) if str(n).endswith("7777")])
        self.arrives(rig, poisoned=poisoned)
        rig.judge(self, ENTRIES, poisoned=poisoned, repeated_requests=rig.server.requests)
        self.assertEqual(rig.status()["dead_letters"], poisoned)

    def test_a_clock_that_steps_back(self):
        rig = self.rig(0)
        half = ENTRIES // 2
        rig.write(export_text(0, half, START), "a")
        rig.write(export_text(half, ENTRIES - half, START - 3_600_000_000), "b")   # an hour earlier
        rig.killed_at_random(KILLS // 2, ENTRIES, seed=6)
        self.arrives(rig)
        rig.judge(self, ENTRIES)

    def test_a_clock_that_steps_back_within_one_file(self):
        rig = self.rig(0)
        parts = 10
        each = ENTRIES // parts
        rig.write("".join(export_text(i * each, each, START - i * 60_000_000) for i in range(parts)))
        rig.killed_at_random(KILLS // 2, ENTRIES, seed=7)
        self.arrives(rig)
        rig.judge(self, ENTRIES)

    def test_a_journal_file_that_is_damaged_in_its_middle(self):
        rig = self.rig(0)
        third = ENTRIES // 3
        for i, name in enumerate("abc"):
            rig.write(export_text(i * third, third, START + i * third * 1000), name)
        path = f"{rig.journal}/b.journal"
        with open(path, "r+b") as file:
            file.seek(os.path.getsize(path) // 2)
            file.write(os.urandom(64 * 1024))
        rig.start()
        whole = set(range(third)) | set(range(2 * third, 3 * third))
        eventually(lambda: whole <= set(rig.server.numbers()), PATIENCE, 0.5)
        rig.settled(PATIENCE)
        self.assertEqual(rig.server.mistakes, [])
        self.assertGreater(len(rig.server.documents), 2 * third, "nothing of the damaged file was read")


OUT = "/var/lib/opsd/forward/out.log"
LINES = 6000


class Vacuumed(NodeTest):
    """journald itself rotates and deletes what a slow output is about to read."""
    options = ("--journald", "RateLimitIntervalSec=0")
    config = f"""\
forward:
  outputs:
    - name: slow
      type: file
      path: {OUT}
      start: beginning
      rate: 100KB
      memory: 1MiB
      filter: {{matches: [SYSLOG_IDENTIFIER=numbers]}}
      batch: {{bytes: 64KiB, age: 100ms}}
"""

    def numbers(self):
        lines = self.node.sh(f"cat {OUT}.1 {OUT} 2>/dev/null", check=False).stdout.splitlines()
        return [int(json.loads(line)["message"].split()[0]) for line in lines]

    def entries(self):
        """sequence number -> message of all that the journal has."""
        found = {}
        for line in self.node.exec("journalctl", "-q", "-o", "json", "--output-fields=MESSAGE,SYSLOG_IDENTIFIER",
                                   timeout=120).stdout.splitlines():
            entry = json.loads(line)
            sequence = int(re.search("i=([0-9a-f]+)", entry["__CURSOR"])[1], 16)
            found[sequence] = entry["MESSAGE"] if entry.get("SYSLOG_IDENTIFIER") == "numbers" else ""
        return found

    def status(self):
        return self.node.get("/api/v1/forward", via="unix").json()["outputs"][0]

    def test_what_goes_below_a_reader_is_counted_exactly(self):
        part = LINES // 6
        for first in range(1, LINES + 1, part):
            self.node.sh(f"seq -f '%.0f {'x' * 200}' {first} {first + part - 1} | systemd-cat -t numbers")
            self.node.exec("journalctl", "--sync")
            self.node.exec("journalctl", "--rotate")
        eventually(lambda: self.status()["pending"] > 100, 30, 0.2)   # it holds what it may, in the middle of reading
        before = self.entries()
        self.node.exec("journalctl", "--vacuum-files=2")
        after = self.entries()
        self.assertLess(min(before), min(after), "nothing was vacuumed")
        eventually(lambda: LINES in self.numbers(), 180, 1)
        arrived = self.numbers()
        self.assertEqual(len(arrived), len(set(arrived)))
        last = next(n for n in range(1, LINES + 1) if n + 1 not in arrived)   # before the gap
        place = next(sequence for sequence, message in before.items() if message.startswith(f"{last} "))
        self.assertLess(place, min(after), "the reader was further than the vacuum")
        status = eventually(lambda: (s := self.status())["pending"] == 0 and s, 30)
        self.assertEqual(status["lost"], min(after) - place - 1)
        self.assertEqual(status["unknown_losses"], 0)
        self.assertEqual(status["in"], status["acknowledged"] + status["lost"] + status["dead_lettered"])
        kept = {int(message.split()[0]) for message in after.values() if message}
        self.assertEqual(set(arrived), set(range(1, last + 1)) | kept, "all that was there arrived")


if __name__ == "__main__":
    unittest.main()
