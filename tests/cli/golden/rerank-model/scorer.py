"""A scorer for the golden cases: words in common, or what a case asks for."""

import json
import os
import sys

json.loads(sys.stdin.readline())
print('{"tag": "words 1"}', flush=True)
for line in sys.stdin:
    request = json.loads(line)
    common = len(set(request["query"].split()) & set(request.get("text", "").split()))
    answer = {"score": common, "yes": common / 4, "no": 0.25, "logprob": common - 5}
    if request["id"] == os.environ.get("SICK"):
        answer = {"score": float("nan")}
    print(json.dumps({"key": request["key"], **answer}), flush=True)
