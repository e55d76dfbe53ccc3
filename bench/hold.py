"""What a Python process takes that holds every model, isolates nothing and answers one request each.

    python hold.py DIRECTORY

DIRECTORY is what train.py wrote. Prints the kernel's figures of this process as JSON, in KiB: before
the first model and with all of them.
"""

import gzip
import json
import sys
import time
from pathlib import Path

import numpy as np
import xgboost


def memory():
    """The kernel's figures of this process, in KiB."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    fields = {name: int(rest.split()[0]) for name, rest in (line.split(":") for line in lines)}
    return {"rss": fields["Rss"], "pss": fields["Pss"]}


def main(directory):
    empty = memory()
    cases = json.loads((directory / "cases.json").read_text())
    begin = time.monotonic()
    boosters = []
    for index, case in enumerate(cases):
        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(bytearray(gzip.decompress((directory / f"{index:04}.json.gz").read_bytes())))
        row = xgboost.DMatrix(np.array([case["row"]], dtype=np.float32), nthread=1)
        if abs(float(booster.predict(row)[0]) - case["probability"]) > 1e-6:
            sys.exit(f"model {index} predicts something else than it did when it was trained")
        boosters.append(booster)
    seconds = time.monotonic() - begin
    print(json.dumps({"empty": empty, "full": memory(), "models": len(boosters), "seconds": seconds}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
