#!/usr/bin/python3
"""count-results.py testlog.json: prints `passed failed skipped` of a meson test run; names the skipped and failed ones on stderr."""
import json
import sys

passed = failed = skipped = 0
with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
    for line in log:
        test = json.loads(line)
        result = test["result"]
        if result in ("OK", "EXPECTEDFAIL"):
            passed += 1
        elif result == "SKIP":
            skipped += 1
            reason = (test.get("stdout") or test.get("stderr") or "no reason given").strip().splitlines()[-1]
            print(f"SKIPPED {test['name']}: {reason}", file=sys.stderr)
        else:
            failed += 1
            print(f"FAILED {test['name']} ({result})", file=sys.stderr)
print(passed, failed, skipped)
