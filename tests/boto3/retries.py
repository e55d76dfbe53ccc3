"""boto3's three ways to try again, and how often the server is asked for it."""

from unittest import mock

from shared import CLASSES, TestCase, client, metric

MODES = ("legacy", "standard", "adaptive")
ATTEMPTS = 4


class Retries(TestCase):
    def attempts(self, mode, code, **request):
        """Fails so with this mode, and returns how often the server was asked and each pause."""
        patient = client(retries={"mode": mode, "total_max_attempts": ATTEMPTS})
        before = metric("modelcell_invocations_total")
        with mock.patch("botocore.endpoint.time.sleep") as sleep:
            error = self.refused(code, using=patient, **request)
        asked = metric("modelcell_invocations_total") - before
        metadata = error.response["ResponseMetadata"]
        self.assertEqual(metadata["RetryAttempts"], asked - 1)
        # Zero is botocore's own for a request that is not tried again.
        return asked, [call.args[0] for call in sleep.call_args_list if call.args[0]]

    def once(self, code, **request):
        for mode in MODES:
            with self.subTest(mode=mode, code=code):
                self.assertEqual(self.attempts(mode, code, **request), (1, []))

    def test_the_models_errors_are_final(self):
        self.once("ModelError", Body="predict:failed")
        self.once("ModelError", Body="predict:invalid")
        self.once("ModelError", TargetModel="broken.tar.gz")

    def test_the_callers_errors_are_final(self):
        self.once("ValidationError", TargetModel="no.tar.gz")
        self.once("ValidationError", Body=b"x" * 2048)

    def test_an_outage_is_tried_again(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                asked, pauses = self.attempts(mode, "ServiceUnavailable", TargetModel="outage.tar.gz")
                self.assertEqual((asked, len(pauses)), (ATTEMPTS, ATTEMPTS - 1))

    def test_the_server_says_how_long_to_wait(self):
        _, pauses = self.attempts("standard", "ServiceUnavailable", TargetModel="outage.tar.gz")
        # Of its own botocore would wait a twentieth of a second, twice that, and so on.
        self.assertEqual(pauses, [1.0] * (ATTEMPTS - 1))

    def test_a_wrong_setup_is_not_tried_again(self):
        self.once("InternalDependencyException", TargetModel="clock.tar.gz")

    def test_a_load_that_goes_on_is_tried_again_in_legacy_mode(self):
        request = {"TargetModel": "slow.tar.gz"}
        for mode, expected in [("legacy", ATTEMPTS), ("standard", 1), ("adaptive", 1)]:
            with self.subTest(mode=mode):
                asked, _ = self.attempts(mode, "ModelNotReadyException", **request)
                self.assertEqual(asked, expected)

    def test_each_class_has_its_status(self):
        # This table is botocore's: what is in it decides which errors are tried again.
        model = self.client.meta.service_model.operation_model("InvokeEndpoint")
        shapes = model.error_shapes
        modelled = {shape.name: shape.metadata["error"]["httpStatusCode"] for shape in shapes}
        self.assertEqual(modelled, CLASSES)
