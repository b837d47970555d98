"""The proof of no loss: numbered entries of real journals, forwarded to a strict far side that does everything wrong, by an
opsd that is killed at random moments. tests/bench/kill-matrix is the same with 500,000 entries and 1,000 kills."""

import glob
import os
import time
import unittest

from harness import eventually
from no_loss import BATCH, Rig, export_text

ENTRIES = int(os.environ.get("OPSD_NO_LOSS_ENTRIES", "20000"))
KILLS = int(os.environ.get("OPSD_NO_LOSS_KILLS", "20"))
START = 1_790_000_000_000_000
PATIENCE = 120 + ENTRIES // 1000


class NoLoss(unittest.TestCase):
    def rig(self, entries=ENTRIES):
        rig = Rig()
        self.addCleanup(rig.__exit__)
        if entries:
            rig.write(export_text(0, entries, START))
        return rig

    def arrives(self, rig, total=ENTRIES, poisoned=0):
        eventually(lambda: len(rig.server.documents) + len(rig.server.poisoned) >= total, PATIENCE, 0.2)
        status = rig.settled(PATIENCE)
        self.assertEqual(status["in"], status["acknowledged"] + status["pending"] + status["dead_lettered"] + status["lost"])
        self.assertEqual((status["dead_lettered"], status["lost"]), (poisoned, 0) if poisoned else (0, 0))
        self.assertLessEqual(rig.anonymous_mib(), 64)

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

    def away(self, fault, seconds):
        """The far side answers so for a while, in the middle of the work and across a kill."""
        rig = self.rig()
        rig.start()
        eventually(lambda: rig.server.documents, PATIENCE, 0.005)
        rig.server.faults.status = fault
        time.sleep(seconds / 2)
        rig.kill()
        rig.kills += 1
        rig.start()
        time.sleep(seconds / 2)
        rig.server.faults.status = None
        self.arrives(rig)
        rig.judge(self, ENTRIES)

    def test_503_with_a_body(self):
        self.away((503, '{"error":{"type":"cluster_block_exception"},"status":503}'), 12)

    def test_503_without_a_body(self):
        self.away((503, ""), 12)

    def test_429_for_the_request(self):
        self.away((429, '{"error":{"type":"es_rejected_execution_exception"},"status":429}'), 6)

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


if __name__ == "__main__":
    unittest.main()
