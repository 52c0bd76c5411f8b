"""Runs openai-client.mjs, with the npm package that package.json pins, against a daemon that tells the goldens' story.
Arguments: inferd, the folder of the logits goldens, a folder to install the package into. Skipped (77) where there is no
node, or no way to get the package."""
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from inferd import Daemon  # noqa: E402

BINARY, GOLDENS, FOLDER = sys.argv[1:4]


def skip(reason):
    print("SKIP:", reason)
    sys.exit(77)


def install():
    os.makedirs(FOLDER, exist_ok=True)
    changed = False
    for name in ["package.json", "package-lock.json", ".npmrc"]:
        with open(os.path.join(HERE, name), "rb") as f:
            wanted = f.read()
        path = os.path.join(FOLDER, name)
        if not os.path.exists(path) or open(path, "rb").read() != wanted:
            changed = True
            with open(path, "wb") as f:
                f.write(wanted)
    if changed or not os.path.exists(os.path.join(FOLDER, "node_modules/openai/package.json")):
        print("Installing the npm package `openai` into", FOLDER, flush=True)
        if subprocess.run(["npm", "ci"], cwd=FOLDER).returncode != 0:
            shutil.rmtree(FOLDER)
            skip("the npm package `openai` could not be installed (is there a network?)")


def main():
    if not shutil.which("node") or not shutil.which("npm"):
        skip("node and npm are not installed")
    install()
    with open(os.path.join(GOLDENS, "index.json")) as f:
        golden = next(entry for entry in json.load(f) if entry["model"] == "models/stories260K.gguf")
    daemon = Daemon(BINARY, {"stories260K": os.path.join(GOLDENS, golden["model"])}).wait_ready()
    try:
        texts = [daemon.post("/detokenize", {"tokens": tokens})[1]["content"]
                 for tokens in [golden["tokens"], golden["tokens"] + golden["greedy"]]]
        status = subprocess.run(["node", os.path.join(HERE, "openai-client.mjs"), daemon.socket, "stories260K",
                                 json.dumps(golden["prompt"]), json.dumps(texts[1][len(texts[0]):])],
                                cwd=FOLDER).returncode
        daemon.wait_metric("requests_running", 0)
    finally:
        stopped = daemon.stop()
    sys.exit(status or stopped)


main()
