"""A program that names an endpoint's address, and nothing else that is not AWS's."""

import io
import json
import os
from unittest import mock

import boto3

from shared import ENDPOINT, MODEL, URL, UUID, TestCase, metric


class Invocations(TestCase):
    def echo(self, **request):
        answer = self.invoke("echo", **request)
        return answer, json.load(answer["Body"])

    def test_an_unchanged_client_but_for_its_address(self):
        runtime = boto3.client("sagemaker-runtime", endpoint_url=URL)
        answer = runtime.invoke_endpoint(EndpointName=ENDPOINT, TargetModel=MODEL, Body=b"x")
        self.assertEqual(answer["Body"].read(), b"ok")

    def test_an_unchanged_program_with_a_variable(self):
        with mock.patch.dict(os.environ, {"AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": URL}):
            runtime = boto3.client("sagemaker-runtime")
        self.assertEqual(self.text("x", using=runtime), "ok")

    def test_all_that_is_said_reaches_the_model(self):
        answer, seen = self.echo(
            ContentType="text/plain",
            Accept="application/json",
            CustomAttributes="trace=7;from=caller",
            TargetVariant="blue-2",
            InferenceId="id 7",
        )
        self.assertEqual(seen["body"], "echo")
        self.assertEqual(seen["content_type"], "text/plain")
        self.assertEqual(seen["accept"], "application/json")
        self.assertEqual(seen["custom_attributes"], "trace=7;from=caller")
        self.assertEqual(seen["target_variant"], "blue-2")
        self.assertEqual(seen["inference_id"], "id 7")
        self.assertEqual(seen["target_model"], MODEL)
        self.assertEqual(answer["ContentType"], "application/json")
        self.assertEqual(answer["CustomAttributes"], "set by the guest")
        self.assertEqual(answer["InvokedProductionVariant"], "blue-2")

    def test_what_is_not_said_is_not_there(self):
        answer, seen = self.echo()
        for name in ("content_type", "accept", "custom_attributes", "target_variant", "inference_id"):
            self.assertIsNone(seen[name], name)
        self.assertEqual(answer["InvokedProductionVariant"], "AllTraffic")
        self.assertNotIn("CustomAttributes", self.invoke("no attributes"))

    def test_each_answer_has_a_request_id(self):
        metadata = [self.invoke()["ResponseMetadata"] for _ in range(2)]
        ids = {one["RequestId"] for one in metadata}
        self.assertEqual(len(ids), 2)
        for one in metadata:
            self.assertRegex(one["RequestId"], UUID)
            self.assertEqual((one["HTTPStatusCode"], one["RetryAttempts"]), (200, 0))

    def test_bodies_of_each_kind_arrive_whole(self):
        self.assertEqual(self.text(io.BytesIO(b"predict:large 7")), "x" * 7)
        self.assertEqual(self.text(bytearray(b"predict:large 8")), "x" * 8)
        self.assertEqual(self.text(b""), "ok")
        # As large as AWS takes it.
        self.assertEqual(self.text(b"x" * 6291456), "ok")
        self.assertEqual(len(self.invoke("predict:large 20000000")["Body"].read()), 20000000)

    def test_the_only_model_need_not_be_named(self):
        _, seen = self.echo(TargetModel=None)
        self.assertEqual(seen["target_model"], MODEL)

    def test_invocations_are_counted(self):
        name = f'modelcell_endpoint_invocations_total{{endpoint="{ENDPOINT}"}}'
        before = metric(name)
        self.invoke()
        self.assertEqual(metric(name), before + 1)
