"""A rewriter: it does what it is told, and badly where that is in the words."""

import json
import sys

json.loads(sys.stdin.readline())
print(json.dumps({"tag": "toy 1"}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    answer = {"reply": f"Sure.\nEdited description: {request['caption']}, {request['text']}"}
    if "vague" in request["text"]:
        answer = {"reply": "I would rather not."}
    if "broken" in request["text"]:
        answer = {"error": "too dark"}
    print(json.dumps({"key": request["key"], **answer}), flush=True)
