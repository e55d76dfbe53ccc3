"""Several endpoints on one host: each its own models and limits."""

import json
import urllib.request

from shared import URL, TestCase, metric

VERSION = "predict:read /opt/ml/model/version"


def loaded(endpoint):
    """The names of an endpoint's models that are loaded."""
    with urllib.request.urlopen(f"{URL}/endpoints/{endpoint}/models") as answer:
        return [model["modelName"] for model in json.load(answer)["models"]]


class Endpoints(TestCase):
    def test_models_of_one_name_are_each_endpoints_own(self):
        for _ in range(2):
            for endpoint in ("default", "churn", "fraud"):
                self.assertEqual(self.text(VERSION, EndpointName=endpoint), endpoint)

    def test_an_endpoints_models_are_not_anothers(self):
        request = {"TargetModel": "only-fraud.tar.gz"}
        self.assertEqual(self.text(EndpointName="fraud", **request), "ok")
        for endpoint in ("default", "churn"):
            self.refused("ValidationError", EndpointName=endpoint, **request)

    def test_limits_are_each_endpoints_own(self):
        body = b"x" * 2048
        self.refused("ValidationError", "1024", "--max-body", EndpointName="churn", Body=body)
        self.assertEqual(self.text(body, EndpointName="fraud"), "ok")
        slow = "predict:sleep 1500"
        error = self.refused("ModelError", EndpointName="churn", Body=slow)
        self.assertEqual(error.response["OriginalStatusCode"], 504)
        self.assertEqual(self.text(slow, EndpointName="fraud"), "slept")

    def test_a_full_endpoint_takes_nothing_of_another(self):
        self.text(EndpointName="fraud")
        before = loaded("fraud")
        self.assertIn("m.tar.gz", before)
        evicted = metric("modelcell_evictions_total")
        for name in "abcd" * 2:
            self.text(EndpointName="churn", TargetModel=f"{name}.tar.gz")
        # The second round at the latest has had to make room for each.
        self.assertGreaterEqual(metric("modelcell_evictions_total"), evicted + 4)
        self.assertEqual(loaded("fraud"), before)
