"""A model in one file and the same in several: one entry in every list, the same bytes from both, and what happens when a
part is missing or fails. Arguments: inferd, infer, the folder of the logits goldens."""
import json
import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from split_gguf import split  # noqa: E402
from world import PATIENCE, World, wait_until  # noqa: E402

INFERD, INFER, GOLDENS = map(os.path.abspath, sys.argv[1:4])
STORY = os.path.join(GOLDENS, "models/stories260K.gguf")
QUANTISED = os.path.join(GOLDENS, "models/quant-base-Q4_K_M.gguf")


class SplitTest(unittest.TestCase):
    def setUp(self):
        self.world = World(INFERD)
        self.addCleanup(self.world.end)
        self.folder = self.world.path("models")

    def run_infer(self, *arguments, status=0):
        done = subprocess.run([INFER, *arguments], env=self.world.environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode == 0, status == 0, (arguments, done.stdout, done.stderr))
        return done.stdout if status == 0 else done.stderr

    def story(self):
        return self.run_infer("--seed=7", "--max-tokens=40", "Once upon a time")

    def listed(self):
        return {m["name"]: m for m in json.loads(self.run_infer("models", "--json"))}

    def get(self, path):
        done = subprocess.run(["curl", "-sS", "--unix-socket", self.world.socket, "http://localhost" + path], capture_output=True,
                              text=True, timeout=PATIENCE, check=True)
        return json.loads(done.stdout)

    def availability(self):
        return self.world.busctl("get-property", "org.inferd.Inference1", "/org/inferd/Inference1",
                                 "org.inferd.Inference1.Manager", "Availability").stdout.split('"')[1]

    def test_the_same_bytes_from_one_file_and_from_three(self):
        for name, source in ("whole", STORY), ("quantised", QUANTISED):
            shutil.copy(source, os.path.join(self.folder, name + ".gguf"))
        parts = split(STORY, self.folder, "parts", 3)
        split(STORY, self.folder, "header", 2, tensors_in_first=False)
        split(QUANTISED, self.folder, "quantised-parts", 5)
        self.world.start(Model="whole")

        models = self.listed()
        self.assertEqual(sorted(models), ["header", "parts", "quantised", "quantised-parts", "whole"])
        self.assertEqual(models["parts"]["size"], sum(map(os.path.getsize, parts)))
        self.assertEqual(models["parts"]["parameters"], models["whole"]["parameters"])
        self.assertIn("parts", self.run_infer("models"))
        listed = [m["id"] for m in self.get("/v1/models")["data"]]
        self.assertEqual(sorted(listed), sorted(models))
        self.assertEqual(self.get("/v1/models/parts-00001-of-00003.gguf")["id"], "parts")

        expected = self.story()
        for name in "parts", "whole", "parts-00001-of-00003", "whole.gguf", "parts-00001-of-00003.gguf", "header":
            self.run_infer("load", name)
            loaded = [m for m in self.listed().values() if m.get("loaded")]
            self.assertEqual([m["name"] for m in loaded], [name.split(".")[0].split("-0")[0]])
            self.assertEqual(self.story(), expected, name)
        self.run_infer("load", "quantised")
        expected = self.story()
        self.run_infer("load", "quantised-parts")
        self.assertEqual(self.story(), expected)

    def test_a_missing_part_is_named_and_may_come_later(self):
        parts = split(STORY, self.folder, "parts", 3)
        os.rename(parts[1], self.world.path("kept"))
        self.world.start(Model="parts")
        wait_until(lambda: self.availability() == "model-failed", "loading to fail")
        reason = f"part 2 of 3 is missing: put {parts[1]} beside the first part"
        self.assertIn(reason, self.run_infer("hello", status=1))
        self.assertIn(reason, self.listed()["parts"]["error"])
        os.rename(self.world.path("kept"), parts[1])
        self.assertNotIn("error", self.listed()["parts"])
        self.story()

        os.unlink(parts[0])
        models = self.listed()
        self.assertEqual(list(models), ["parts"])
        self.assertIn("is part 2 of a model split into 3; the first part is missing", models["parts"]["error"])

    def test_a_part_that_fails_under_us(self):
        parts = split(STORY, self.folder, "parts", 3)
        shutil.copy(STORY, os.path.join(self.folder, "whole.gguf"))
        for failing in range(3):
            kept = self.world.path("kept")
            shutil.copy(parts[failing], kept)
            self.world.start(Model="parts")
            expected = self.story()
            os.truncate(parts[failing], 0)
            self.assertIn("can no longer be read", self.run_infer("--max-tokens=40", "Another story", status=1))
            self.assertEqual(self.availability(), "model-failed")
            self.run_infer("load", "whole")  # and the daemon lives
            self.assertEqual(self.story(), expected)
            self.world.kill_daemon()
            shutil.copy(kept, parts[failing])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
