"""The native libraries of the benchmark of runtimes.

    python native.py train DIRECTORY    trains the models that both sides load
    python native.py libraries          says where the shared libraries are, as JSON
    python native.py onnx DIRECTORY FILE...
                                        runs models in onnxruntime, as told on standard input

What `train` writes:

model.json, model.ubj    XGBoost: 100 trees of depth 6 over 10 features
model.txt                LightGBM: the same
logistic.onnx, mlp.onnx  scikit-learn, converted by skl2onnx
rows.csv                 1,000 rows, as the requests say them
rows-f4.npy, rows-f8.npy the same numbers as arrays
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

ROWS = 1000
TREES = 100
DEPTH = 6


def train(directory):
    import lightgbm
    import xgboost
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # Data and parameters of the thousand models.
    from train import PARAMETERS, data

    directory.mkdir(parents=True, exist_ok=True)
    rows, labels = data(0)

    matrix = xgboost.DMatrix(rows, labels, nthread=1)
    booster = xgboost.train(PARAMETERS | {"seed": 0}, matrix, num_boost_round=TREES)
    booster.save_model(directory / "model.json")
    booster.save_model(directory / "model.ubj")

    parameters = {
        "objective": "binary",
        "max_depth": DEPTH,
        "num_leaves": 2**DEPTH,
        "learning_rate": PARAMETERS["learning_rate"],
        "num_threads": 1,
        "verbosity": -1,
        "seed": 0,
    }
    grown = lightgbm.train(parameters, lightgbm.Dataset(rows, labels), num_boost_round=TREES)
    grown.save_model(directory / "model.txt")

    for name, classifier in [
        ("logistic", LogisticRegression()),
        ("mlp", MLPClassifier(hidden_layer_sizes=(64, 32), tol=1e-2, random_state=0)),
    ]:
        fitted = make_pipeline(StandardScaler(), classifier).fit(rows, labels)
        # Probabilities as an array: without this option they are a list of maps.
        options = {id(fitted): {"zipmap": False}}
        inputs = [("rows", FloatTensorType([None, rows.shape[1]]))]
        converted = convert_sklearn(fitted, initial_types=inputs, options=options, target_opset=17)
        (directory / f"{name}.onnx").write_bytes(converted.SerializeToString())

    # What the requests say in decimals is what the libraries are asked.
    asked = [[round(float(value), 4) for value in row] for row in rows[:ROWS]]
    (directory / "rows.csv").write_text("\n".join(",".join(map(str, row)) for row in asked) + "\n")
    np.save(directory / "rows-f8.npy", np.array(asked))
    np.save(directory / "rows-f4.npy", np.array(asked, np.float32))


def libraries():
    """Their paths, without loading them twice: the benchmark opens them itself."""
    import lightgbm
    import xgboost

    found = {
        "xgboost": next(Path(xgboost.__file__).parent.glob("lib/libxgboost.*")),
        "lightgbm": next(Path(lightgbm.__file__).parent.glob("lib/lib_lightgbm.*")),
    }
    versions = {"xgboost": xgboost.__version__, "lightgbm": lightgbm.__version__}
    print(json.dumps({name: {"path": str(path), "version": versions[name]} for name, path in found.items()}))


def idle():
    """A model that does nothing, whose time is what calling onnxruntime costs."""
    from onnx import TensorProto, helper

    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 10]) for name in ("x", "y")]
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "idle", shape[:1], shape[1:])
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def example(description, random):
    """One input: free dimensions are 1, whole numbers are small."""
    shape = [size if isinstance(size, int) else 1 for size in description.shape]
    if "int" in description.type:
        kind = np.int32 if "int32" in description.type else np.int64
        return random.integers(0, 10, shape, kind)
    kind = np.float64 if "double" in description.type else np.float32
    return random.normal(size=shape).astype(kind)


class Session:
    """A model in onnxruntime with one thread, and its request."""

    def __init__(self, model, random):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.feed = {each.name: example(each, random) for each in self.session.get_inputs()}

    def micros(self, count):
        """The mean time of a run."""
        run, feed = self.session.run, self.feed
        begin = time.perf_counter()
        for _ in range(count):
            run(None, feed)
        return (time.perf_counter() - begin) / count * 1e6

    def save_request(self, path):
        """One array as NPY, several as NPZ. Returns the content type."""
        if len(self.feed) == 1:
            (array,) = self.feed.values()
            with path.open("wb") as file:
                np.save(file, array)
            return "application/x-npy"
        with path.open("wb") as file:
            np.savez(file, **self.feed)
        return "application/x-npz"


def serve_onnx(directory, files):
    """First writes the requests into `directory` and a line that lists them, then for each line
    `MODEL COUNT` the mean microseconds of that many runs. Model 0 does nothing."""
    import onnxruntime

    random = np.random.default_rng(0)
    sessions = [Session(idle(), random)]
    requests = []
    for number, file in enumerate(files):
        session = Session(file, random)
        path = directory / f"request-{number}"
        requests.append({"path": str(path), "content_type": session.save_request(path)})
        sessions.append(session)
    print(json.dumps({"version": onnxruntime.__version__, "requests": requests}), flush=True)
    for line in sys.stdin:
        model, count = map(int, line.split())
        print(sessions[model].micros(count), flush=True)


def main(command, *arguments):
    if command == "train":
        train(Path(*arguments))
    elif command == "libraries":
        libraries()
    elif command == "onnx":
        directory, *files = arguments
        serve_onnx(Path(directory), files)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
