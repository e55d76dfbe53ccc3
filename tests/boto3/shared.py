"""What the tests share: a server's address, clients of it, and what every error must be like."""

import os
import re
import time
import unittest
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

URL = os.environ["MODELCELL_URL"]
PID = int(os.environ["MODELCELL_PID"])
REPOSITORY = Path(os.environ["MODELCELL_REPOSITORY"])
MODEL = "m.tar.gz"
ENDPOINT = "default"

# The errors that botocore has a class for; all others are of the class ClientError.
CLASSES = {
    "InternalDependencyException": 530,
    "InternalFailure": 500,
    "ModelError": 424,
    "ModelNotReadyException": 429,
    "ServiceUnavailable": 503,
    "ValidationError": 400,
}

# How long anything may take on a busy machine.
PATIENCE = 30

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

# What no error may tell.
SECRET = os.environ["AWS_SECRET_ACCESS_KEY"]
NEVER = [SECRET, str(REPOSITORY), ".rs:", "backtrace", "wasmtime::", "/tmp/", "/root/", "/home/"]


def client(access_key_id=None, secret=None, **config):
    """A client that tries once, if `retries` says nothing else."""
    config.setdefault("retries", {"total_max_attempts": 1})
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=URL,
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret,
        config=Config(read_timeout=2 * PATIENCE, **config),
    )


def metric(name):
    """The value of a metric, labels included in its name."""
    with urllib.request.urlopen(f"{URL}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line for line in lines if line.startswith(name + " ")).split()[-1])


def eventually(what, holds):
    """Asks again until the answer is yes."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain until {what}")
        time.sleep(0.02)


class TestCase(unittest.TestCase):
    """A test with a client of its own."""

    def setUp(self):
        self.client = client()

    def invoke(self, body="", using=None, **request):
        """Asks the model, and returns all of boto3's answer."""
        request = {"EndpointName": ENDPOINT, "TargetModel": MODEL, "Body": body, **request}
        request = {name: value for name, value in request.items() if value is not None}
        return (using or self.client).invoke_endpoint(**request)

    def text(self, body="", **request):
        """The text that the model answers."""
        return self.invoke(body, **request)["Body"].read().decode()

    def refused(self, code, *parts, status=403, **request):
        """Checks that boto3 raises what AWS's service would have it raise, and returns that."""
        using = request.get("using") or self.client
        with self.assertRaises(ClientError) as caught:
            self.invoke(**request)
        return self.check(using, caught.exception, code, *parts, status=status)

    def check(self, using, error, code, *parts, status=403):
        """Checks an error's class and what each has."""
        response = error.response
        self.assertEqual(response["Error"]["Code"], code, error)
        self.assertIs(type(error), using.exceptions.from_code(code))
        self.assertEqual(type(error) is not ClientError, code in CLASSES)
        metadata = response["ResponseMetadata"]
        self.assertEqual(metadata["HTTPStatusCode"], CLASSES.get(code, status))
        self.assertRegex(metadata["RequestId"], UUID)
        message = response["Error"]["Message"]
        for part in parts:
            self.assertIn(part, message)
        for secret in NEVER:
            self.assertNotIn(secret, str(response))
        again = "retry-after" in metadata["HTTPHeaders"]
        self.assertEqual(again, code in ("ServiceUnavailable", "ModelNotReadyException"))
        return error
