"""What AWS refuses before any container sees it is a ValidationError."""

import urllib.error
import urllib.request

from botocore.exceptions import ClientError

from shared import MODEL, URL, TestCase, client


class Validation(TestCase):
    def invalid(self, *parts, **request):
        error = self.refused("ValidationError", *parts, **request)
        self.assertIsInstance(error, self.client.exceptions.ValidationError)
        # Members of ModelError alone.
        self.assertNotIn("OriginalStatusCode", error.response)

    def test_endpoints_that_do_not_exist(self):
        for name in ("nobody", "a b", "../default", "ü", "default/invocations?x="):
            self.invalid(f"Endpoint {name} not found.", EndpointName=name)

    def test_models_that_do_not_exist(self):
        words = "Failed to download model data"
        for name in ("no.tar.gz", "tenant-a/m.tar.gz", "nö.tar.gz"):
            self.invalid(words, name, TargetModel=name)

    def test_names_that_would_leave_the_repository(self):
        for name in ("../m.tar.gz", "/etc/passwd", "a/../m.tar.gz", "./m.tar.gz", "a//b.tar.gz"):
            self.invalid("leave the repository", TargetModel=name)

    def test_no_model_among_several(self):
        self.invalid("TargetModel", TargetModel=None)

    def test_values_that_botocore_lets_through(self):
        for parameter, value in [
            ("TargetModel", "a" * 1025),
            ("TargetVariant", "-a"),
            ("TargetVariant", "a" * 64),
            ("TargetVariant", ""),
            ("InferenceId", "a" * 65),
            ("ContentType", "a" * 1025),
            ("Accept", "a" * 1025),
            ("CustomAttributes", "a" * 1025),
            ("CustomAttributes", "ä"),
        ]:
            name = parameter[0].lower() + parameter[1:]
            with self.subTest(parameter=parameter, value=value[:5]):
                self.invalid("1 validation error detected", f"at '{name}'", **{parameter: value})

    def test_the_longest_values(self):
        answer = self.invoke(
            TargetVariant="a" * 63,
            InferenceId="i" * 64,
            ContentType="c" * 1024,
            Accept="*/*;" + "a" * 1020,
            CustomAttributes="c" * 1024,
        )
        self.assertEqual(answer["InvokedProductionVariant"], "a" * 63)

    def test_what_only_other_endpoints_have(self):
        for parameter, value in [
            ("TargetContainerHostname", "first"),
            ("InferenceComponentName", "component"),
            ("EnableExplanations", "`true`"),
            ("SessionId", "NEW_SESSION"),
        ]:
            self.invalid(parameter, **{parameter: value})

    def test_a_body_that_is_too_large(self):
        self.assertEqual(self.text(b"x" * 1024), "ok")
        self.invalid("1024", "--max-body", Body=b"x" * 1025)
        # Large enough to fill all buffers on the way, so that somebody has to read it.
        self.invalid("1024", Body=b"x" * (16 << 20))

    def test_operations_that_there_are_not(self):
        calls = [
            lambda: self.client.invoke_endpoint_with_response_stream(EndpointName="e", Body=b""),
            lambda: self.client.invoke_endpoint_async(EndpointName="e", InputLocation="s3://b/k"),
        ]
        for call in calls:
            with self.assertRaises(ClientError) as caught:
                call()
            parts = ["InvokeEndpoint alone"]
            self.check(self.client, caught.exception, "UnknownOperationException", *parts, status=404)

    def test_refusals_cost_no_connection(self):
        one = client(max_pool_connections=1)
        for _ in range(3):
            self.refused("ValidationError", TargetModel="no.tar.gz", using=one)
            self.assertEqual(self.text(using=one), "ok")

    def test_another_method(self):
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{URL}/endpoints/default/invocations?TargetModel={MODEL}")
        with caught.exception as error:
            self.assertEqual((error.status, error.headers["Allow"]), (405, "POST"))
