"""What the host is to blame for, and what may pass: who tries again later may be served."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

from shared import ENDPOINT, PATIENCE, URL, TestCase, client, eventually


@contextmanager
def request_in_flight():
    """A request that is being served until the block ends, since its body does not come."""
    url = urlsplit(URL)
    with socket.create_connection((url.hostname, url.port)) as connection:
        head = f"POST /endpoints/{ENDPOINT}/invocations HTTP/1.1\r\nHost: {url.netloc}\r\n"
        head += "Content-Length: 2\r\nExpect: 100-continue\r\nX-Amzn-SageMaker-Target-Model: m.tar.gz"
        connection.sendall(f"{head}\r\n\r\n".encode())
        answer = connection.makefile("rb")
        # Its body is asked for: it is in.
        assert b" 100 " in answer.readline()
        answer.readline()
        yield
        connection.sendall(b"ok")
        assert b" 200 " in answer.readline()


class Full(TestCase):
    """One request at a time."""

    def test_as_many_requests_as_allowed(self):
        with request_in_flight():
            error = self.refused("ServiceUnavailable", "--max-requests")
            self.assertIsInstance(error, self.client.exceptions.ServiceUnavailable)
            headers = error.response["ResponseMetadata"]["HTTPHeaders"]
            self.assertEqual(headers["retry-after"], "1")
            self.assertEqual(headers["x-amz-retry-after"], "1000")
        self.assertEqual(self.text(), "ok")

    def test_retries_of_each_mode_get_through(self):
        for mode in ("legacy", "standard", "adaptive"):
            with self.subTest(mode=mode):
                patient = client(retries={"mode": mode, "total_max_attempts": 10})
                done = threading.Event()

                def free_after_a_refusal(**_):
                    # The caller's first try was refused; it is about to try again.
                    done.set()

                event = "needs-retry.sagemaker-runtime.InvokeEndpoint"
                patient.meta.events.register(event, free_after_a_refusal)
                inside = threading.Event()
                with ThreadPoolExecutor() as threads:
                    holder = threads.submit(self.hold, inside, done)
                    self.assertTrue(inside.wait(PATIENCE))
                    answer = self.invoke(using=patient)
                    holder.result()
                self.assertEqual(answer["Body"].read(), b"ok")
                self.assertGreater(answer["ResponseMetadata"]["RetryAttempts"], 0)

    def hold(self, inside, done):
        with request_in_flight():
            inside.set()
            self.assertTrue(done.wait(PATIENCE))


class Busy(TestCase):
    """One cell for all models."""

    def test_a_request_that_gets_no_cell(self):
        # Loaded beforehand, so that their time goes to nothing else.
        for name in ("m.tar.gz", "other.tar.gz"):
            self.text(TargetModel=name)
        errors = []

        def is_refused():
            # Until the slow request has the cell, others get it.
            try:
                self.text(TargetModel="other.tar.gz")
            except self.client.exceptions.ServiceUnavailable as error:
                errors.append(error)
            return errors

        with ThreadPoolExecutor() as threads:
            slow = threads.submit(self.text, "predict:sleep 2700")
            eventually("the cell is in use", is_refused)
            self.check(self.client, errors[0], "ServiceUnavailable", "busy", "try again")
            self.assertEqual(slow.result(), "slept")


class Disk(TestCase):
    """Little disk."""

    def test_an_artifact_for_which_there_is_no_disk(self):
        error = self.refused("InternalFailure", "--disk-budget", TargetModel="large.tar")
        self.assertIsInstance(error, self.client.exceptions.InternalFailure)
        self.assertEqual(self.text(), "ok")


class Bucket(TestCase):
    """A bucket that somebody has to mend."""

    def test_the_reason_is_told(self):
        error = self.refused("InternalDependencyException", "credentials")
        self.assertIsInstance(error, self.client.exceptions.InternalDependencyException)


class Outage(TestCase):
    """A bucket that does not answer."""

    def test_an_outage_may_pass(self):
        self.refused("ServiceUnavailable", "does not answer", "try again")


class Forbidden(TestCase):
    """A bucket that the host may not read."""

    def test_the_permission_is_named_as_by_aws(self):
        self.refused("ValidationError", "s3:GetObject")
