"""The hooks, called as the host calls them, on the author's own machine."""

import json
import unittest
from pathlib import Path

from componentize_py_types import Err
from wit_world.exports import hooks

import model

HERE = Path(__file__).parent
ROW = (HERE / "request.csv").read_text().strip()


def invoke(body, content_type="text/csv", accept=None):
    request = hooks.Request(body.encode(), content_type, accept, None, None, None, None)
    # As in a component, state in Hooks itself would be lost between the calls.
    decoded = model.Hooks().input_fn(request)
    payload = model.Hooks().output_fn(model.Hooks().predict_fn(decoded), accept)
    return json.loads(payload.body)["predictions"]


class NearestCentroid(unittest.TestCase):
    def setUp(self):
        model.Hooks().model_fn(str(HERE / "model"))

    def assert_fails(self, error, *request):
        with self.assertRaises(Err) as caught:
            invoke(*request)
        self.assertIsInstance(caught.exception.value, error)

    def test_reads_csv_and_json_alike(self):
        expected = invoke(ROW)
        self.assertEqual(expected[0]["cultivar"], "class_0")
        self.assertEqual(expected * 2, invoke(f"\ufeff{ROW}\r\n\r\n{ROW}\r\n", "text/csv; charset=utf-8"))
        for body in (f"[{ROW}]", f"[[{ROW}]]", f'{{"instances": [[{ROW}]]}}'):
            self.assertEqual(expected, invoke(body, "application/json"))
            self.assertEqual(expected, invoke(body, None))

    def test_says_what_it_cannot_read_or_write(self):
        self.assert_fails(hooks.Error_UnsupportedContentType, ROW, "image/png")
        self.assert_fails(hooks.Error_UnsupportedAccept, ROW, "text/csv", "text/csv")
        for accept in ("", "*/*", "text/html, application/json;q=0.9"):
            self.assertEqual(1, len(invoke(ROW, "text/csv", accept)))

    def test_rejects_wrong_input(self):
        for body in ("", "a,b", "1,2,3", ROW.replace("1065", "nan")):
            self.assert_fails(hooks.Error_InvalidInput, body)
        for body in ("", "{}", "[]", "[true]", "[[1], 2]", '{"instances": 1}', f"[1{'0' * 400}]"):
            self.assert_fails(hooks.Error_InvalidInput, body, "application/json")

    def test_says_why_it_cannot_load(self):
        with self.assertRaises(Err) as caught:
            model.Hooks().model_fn("/nowhere")
        self.assertIn("model.json", caught.exception.value.value)


if __name__ == "__main__":
    unittest.main()
