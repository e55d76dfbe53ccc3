"""Requests that boto3 signs, and what does not hold of them: the secret, the time, what was signed."""

import datetime
import os
import urllib.error
import urllib.request
from unittest import mock

import boto3
import botocore.auth
from botocore import UNSIGNED
from botocore.awsrequest import AWSHTTPConnection
from botocore.exceptions import NoCredentialsError

from shared import ENDPOINT, MODEL, URL, TestCase, client

KEY = os.environ["AWS_ACCESS_KEY_ID"]
SENT = "before-send.sagemaker-runtime.InvokeEndpoint"
NOW = botocore.auth.get_current_datetime


def clock(**off):
    """A clock that is off by so much, to sign with."""
    delta = datetime.timedelta(**off)
    return mock.patch("botocore.auth.get_current_datetime", lambda *args: NOW(*args) + delta)


class Keys(TestCase):
    def test_the_right_key(self):
        self.assertEqual(self.text(), "ok")

    def test_an_unchanged_client_but_for_its_address(self):
        runtime = boto3.client("sagemaker-runtime", endpoint_url=URL)
        self.assertEqual(self.text(using=runtime), "ok")

    def test_any_region_is_right(self):
        for region in ("us-east-1", "eu-central-1", "cn-north-1"):
            runtime = boto3.client("sagemaker-runtime", endpoint_url=URL, region_name=region)
            self.assertEqual(self.text(using=runtime), "ok")

    def test_a_wrong_secret(self):
        other = client(KEY, "a secret of somebody else's")
        message = "The request signature we calculated does not match"
        self.refused("InvalidSignatureException", message, using=other)

    def test_an_unknown_key(self):
        message = "The security token included in the request is invalid."
        other = client("AKIANOBODYKNOWSTHIS0", os.environ["AWS_SECRET_ACCESS_KEY"])
        self.refused("UnrecognizedClientException", message, using=other)

    def test_a_key_of_a_session(self):
        with mock.patch.dict(os.environ, {"AWS_SESSION_TOKEN": "of-a-session"}):
            runtime = boto3.Session().client("sagemaker-runtime", endpoint_url=URL)
            self.refused("UnrecognizedClientException", using=runtime)

    def test_no_signature(self):
        nobody = client(signature_version=UNSIGNED)
        message = "Missing Authentication Token"
        self.refused("MissingAuthenticationTokenException", message, using=nobody)

    def test_no_credentials_are_noticed_by_boto3(self):
        with mock.patch.dict(os.environ):
            del os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
            runtime = boto3.Session().client("sagemaker-runtime", endpoint_url=URL)
            with self.assertRaises(NoCredentialsError):
                self.invoke(using=runtime)

    def test_refusals_are_not_tried_again(self):
        patient = client(KEY, "a secret of somebody else's", retries={"mode": "legacy"})
        error = self.refused("InvalidSignatureException", using=patient)
        self.assertEqual(error.response["ResponseMetadata"]["RetryAttempts"], 0)


class Clock(TestCase):
    def test_a_clock_that_is_a_little_off(self):
        for seconds in (-270, -60, 0, 60, 270):
            with self.subTest(seconds=seconds), clock(seconds=seconds):
                self.assertEqual(self.text(), "ok")

    def test_a_clock_that_is_behind(self):
        for off in ({"seconds": -301}, {"hours": -1}, {"days": -400}):
            with self.subTest(off=off), clock(**off):
                self.refused("InvalidSignatureException", "Signature expired", "earlier than")

    def test_a_clock_that_is_ahead(self):
        for off in ({"seconds": 330}, {"hours": 1}, {"days": 400}):
            with self.subTest(off=off), clock(**off):
                self.refused("InvalidSignatureException", "not yet current", "later than")


class Changed(TestCase):
    """What is changed on the way, between botocore's signature and its connection."""

    def with_change(self, change, code="InvalidSignatureException", *parts, **request):
        changed = client()
        changed.meta.events.register(SENT, lambda request, **_: change(request))
        self.refused(code, *parts, using=changed, **request)

    def test_a_body(self):
        def change(request):
            request.body = b"yours"

        self.with_change(change, Body=b"mine!")

    def test_a_large_body(self):
        def change(request):
            request.body = request.body[:-1] + b"y"

        self.with_change(change, Body=b"x" * (4 << 20))

    def test_headers_that_the_model_sees(self):
        for name, value in [
            ("X-Amzn-SageMaker-Target-Model", "other.tar.gz"),
            ("X-Amzn-SageMaker-Custom-Attributes", "yours"),
            ("Content-Type", "text/csv"),
            ("Accept", "text/csv"),
            ("X-Amz-Date", "20200101T000000Z"),
            ("Host", "elsewhere.example"),
        ]:
            def change(request, name=name, value=value):
                if name in request.headers:
                    del request.headers[name]
                request.headers[name] = value

            said = {"CustomAttributes": "mine", "ContentType": "text/plain", "Accept": "text/plain"}
            with self.subTest(name=name):
                self.with_change(change, **said)

    def test_a_header_that_was_not_signed(self):
        def change(request):
            request.headers["X-Amzn-SageMaker-Target-Variant"] = "yours"

        message = "'x-amzn-sagemaker-target-variant' must be a 'SignedHeader'"
        self.with_change(change, "InvalidSignatureException", message)

    def test_a_header_that_was_signed_and_is_gone(self):
        def change(request):
            del request.headers["X-Amzn-SageMaker-Custom-Attributes"]

        self.with_change(change, CustomAttributes="mine")

    def test_a_path(self):
        def change(request):
            request.url = request.url.replace(f"/{ENDPOINT}/", "/another/")

        self.with_change(change)

    def test_a_query(self):
        def change(request):
            request.url += "?TargetModel=other.tar.gz"

        self.with_change(change, TargetModel=None)

    def test_what_is_not_changed_passes(self):
        untouched = client()
        untouched.meta.events.register(SENT, lambda request, **_: None)
        self.assertEqual(self.text(using=untouched), "ok")


class Replayed(TestCase):
    """Somebody who saw a request sends it once more."""

    def seen(self, seconds):
        """A request as it was sent, signed so many seconds from now."""
        caught = []

        def catch(request, **_):
            caught.append(urllib.request.Request(request.url, request.body, request.headers))

        watched = client()
        watched.meta.events.register(SENT, catch)
        with clock(seconds=seconds):
            try:
                self.invoke(using=watched, Body=b"predict:count")
            except watched.exceptions.ClientError:
                self.assertLess(seconds, -300)
        request = caught[0]
        request.headers = {name: text(value) for name, value in request.headers.items()}
        return request

    def status(self, request):
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, ""
        except urllib.error.HTTPError as error:
            with error:
                return error.status, error.headers["x-amzn-errortype"]

    def test_within_five_minutes_it_is_the_same_request(self):
        # As on AWS; whoever can see requests needs to be kept from them by TLS.
        self.assertEqual(self.status(self.seen(-200)), (200, ""))

    def test_with_another_body_it_is_not(self):
        request = self.seen(-200)
        request.data = b"predict:hash!"
        self.assertEqual(self.status(request), (403, "InvalidSignatureException"))

    def test_after_five_minutes_it_is_refused(self):
        self.assertEqual(self.status(self.seen(-310)), (403, "InvalidSignatureException"))


def text(value):
    return value.decode() if isinstance(value, bytes) else value


class Connections(TestCase):
    def test_signed_requests_in_a_row_share_a_connection(self):
        connect = AWSHTTPConnection.connect
        with mock.patch.object(AWSHTTPConnection, "connect", autospec=True) as opened:
            opened.side_effect = connect
            for number in range(20):
                self.assertEqual(self.text(f"predict:large {number}"), "x" * number)
        self.assertEqual(opened.call_count, 1)

    def test_a_refusal_keeps_the_connection(self):
        connect = AWSHTTPConnection.connect
        with mock.patch.object(AWSHTTPConnection, "connect", autospec=True) as opened:
            opened.side_effect = connect
            for _ in range(3):
                with clock(hours=-1):
                    self.refused("InvalidSignatureException")
                self.assertEqual(self.text(), "ok")
        self.assertEqual(opened.call_count, 1)

    def test_names_of_any_kind_are_signed_as_sent(self):
        for name in ("a  b/ü.tar.gz", "模型.tar.gz", "it's+100%25.tar.gz"):
            words = "Failed to download model data"
            self.refused("ValidationError", words, TargetModel=name)
        for endpoint in ("a b", "ü", "a%2Fb"):
            self.refused("ValidationError", f"Endpoint {endpoint} not", EndpointName=endpoint)
        self.assertEqual(self.text(CustomAttributes="  two  spaces  "), "ok")
        self.assertEqual(self.text(TargetModel=MODEL), "ok")
