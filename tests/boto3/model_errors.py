"""What goes wrong in a model is a ModelError with what the container of a real endpoint would say."""

import json

from shared import TestCase, client, eventually


class ModelErrors(TestCase):
    def fails(self, original_status, kind, *parts, **request):
        """Checks the error's fields and returns the container's message."""
        original = f'"type":"{kind}"'
        error = self.refused("ModelError", str(original_status), **request)
        self.assertIsInstance(error, self.client.exceptions.ModelError)
        response = error.response
        self.assertEqual(response["OriginalStatusCode"], original_status)
        self.assertEqual(response["LogStreamArn"], "")
        self.assertEqual(response["Message"], response["Error"]["Message"])
        self.assertIn(original, response["OriginalMessage"])
        body = json.loads(response["OriginalMessage"])
        self.assertEqual((body["code"], body["type"]), (original_status, kind))
        for part in parts:
            self.assertIn(part, body["message"])
        # It is the caller who reads this, in one line.
        side = "client" if original_status < 500 else "server"
        self.assertIn(f"Received {side} error ({original_status}) from primary", str(error))
        self.assertEqual(self.text(), "ok")
        return body["message"]

    def test_input_that_the_model_does_not_take(self):
        self.fails(400, "InvalidInputException", "four numbers", Body="input:invalid four numbers")

    def test_content_type_that_the_model_does_not_take(self):
        request = {"TargetModel": "iris.tar.gz", "Body": "5.1,3.5,1.4,0.2"}
        self.fails(415, "UnsupportedMediaTypeException", "text/csv", ContentType="image/png", **request)

    def test_answer_that_the_model_does_not_have(self):
        request = {"TargetModel": "iris.tar.gz", "Body": "5.1,3.5,1.4,0.2", "ContentType": "text/csv"}
        self.fails(406, "NotAcceptableException", "text/csv", Accept="image/png", **request)
        self.assertEqual(self.text(Accept="text/csv", **request).count(","), 2)

    def test_hooks_that_fail(self):
        for hook in ("input", "predict", "output"):
            for how in ("failed", "panic"):
                body = f"{hook}:{how} at the disco"
                message = self.fails(500, "ModelError", f"{hook}_fn", "log", Body=body)
                self.assertNotIn("disco", message, "what only the model's owner should read")

    def test_hooks_that_take_too_long(self):
        self.fails(504, "ModelTimeoutException", "predict_fn", "1s", Body="predict:loop")

    def test_hooks_that_take_too_much_memory(self):
        self.fails(507, "OutOfMemoryError", TargetModel="small.tar.gz", Body="predict:eat-memory")

    def test_artifacts_that_are_none(self):
        self.fails(400, "InvalidModelException", "cannot be read", TargetModel="broken.tar.gz")

    def test_a_model_fn_that_fails(self):
        self.fails(500, "ModelError", "model_fn", TargetModel="failing.tar.gz")

    def test_a_model_that_is_larger_than_all_memory(self):
        self.fails(507, "InsufficientMemoryException", "--memory-budget", TargetModel="huge.tar.gz")

    def test_a_long_message_is_cut(self):
        error = self.refused("ModelError", Body="predict:invalid " + "ä" * 5000)
        self.assertLess(len(error.response["Message"].encode()), 2100)
        self.assertLess(len(error.response["OriginalMessage"].encode()), 2100)

    def test_a_load_that_takes_longer_than_the_request(self):
        error = self.refused("ModelNotReadyException", "slow.tar.gz", TargetModel="slow.tar.gz")
        self.assertIsInstance(error, self.client.exceptions.ModelNotReadyException)

        def is_ready():
            try:
                return self.text(TargetModel="slow.tar.gz") == "ok"
            except self.client.exceptions.ModelNotReadyException:
                return False

        eventually("it is loaded", is_ready)

    def test_legacy_retries_wait_for_a_load(self):
        patient = client(retries={"mode": "legacy", "max_attempts": 20})
        answer = self.invoke(TargetModel="slower.tar.gz", using=patient)
        self.assertEqual(answer["Body"].read(), b"ok")
        self.assertGreater(answer["ResponseMetadata"]["RetryAttempts"], 0)
