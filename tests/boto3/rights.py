"""What keys allow: endpoints, target models, operations."""

import os
import urllib.error
import urllib.request

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from shared import ENDPOINT, URL, TestCase, client

TENANT_A = "tenant-a/m.tar.gz"
TENANT_B = "tenant-b/m.tar.gz"


def key(name):
    """The key of this name."""
    return os.environ[f"{name}_ID"], os.environ[f"{name}_SECRET"]


def call(method, path, body=None, headers=(), signed_by=None):
    """Sends a request of no AWS operation, signed by hand; returns its status and body."""
    request = AWSRequest(method, f"{URL}{path}", data=body, headers=dict(headers))
    if signed_by:
        credentials = boto3.Session(*key(signed_by)).get_credentials()
        SigV4Auth(credentials, "sagemaker", "eu-central-1").add_auth(request)
    sent = urllib.request.Request(request.url, body, dict(request.headers), method=method)
    try:
        with urllib.request.urlopen(sent) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.status, error.read().decode()


class Rights(TestCase):
    def denied(self, who, *parts, endpoint=ENDPOINT, **request):
        start = f"User: {who.lower()} is not authorized to perform: sagemaker:InvokeEndpoint"
        parts = (start, f"on resource: endpoint/{endpoint}", *parts)
        using = client(*key(who))
        self.refused("AccessDeniedException", *parts, using=using, EndpointName=endpoint, **request)

    def test_one_endpoint_alone(self):
        churn = client(*key("CHURN"))
        self.assertEqual(self.text(EndpointName="churn", TargetModel=TENANT_A, using=churn), "ok")
        self.denied("CHURN", "its key's endpoints", endpoint="default", TargetModel=TENANT_A)
        # Nobody learns which endpoints there are.
        self.denied("CHURN", "its key's endpoints", endpoint="nobody", TargetModel=TENANT_A)

    def test_one_tenants_models_alone(self):
        tenant = client(*key("TENANT"))
        self.assertEqual(self.text(TargetModel=TENANT_A, using=tenant), "ok")
        reason = "its key's target-models"
        for name in (TENANT_B, "m.tar.gz", "tenant-a", "Tenant-A/m.tar.gz", "tenant-b/tenant-a/m"):
            self.denied("TENANT", reason, TargetModel=name)
        # By no way around.
        for name in ("tenant-a/../tenant-b/m.tar.gz", "tenant-a/./m.tar.gz", "tenant-a//m.tar.gz"):
            self.denied("TENANT", reason, TargetModel=name)
        self.denied("TENANT", "only some target-models", TargetModel=None)
        # Nobody learns which models there are.
        self.refused("ValidationError", TargetModel="tenant-a/no.tar.gz", using=tenant)
        self.denied("TENANT", reason, TargetModel="tenant-b/no.tar.gz")

    def test_who_has_the_id_alone_learns_nothing_of_the_key(self):
        for who in ("CHURN", "TENANT", "MANAGER"):
            impostor = client(key(who)[0], "not the secret of this key")
            for endpoint in (ENDPOINT, "churn", "nobody"):
                for model in (TENANT_A, TENANT_B, "no.tar.gz", None):
                    request = {"EndpointName": endpoint, "TargetModel": model, "using": impostor}
                    error = self.refused("InvalidSignatureException", Body=b"x" * 100_000, **request)
                    self.assertNotIn(who.lower(), str(error))

    def test_a_key_that_may_not_invoke(self):
        self.denied("MANAGER", 'its key does not allow "invoke"', TargetModel=TENANT_A)

    def test_a_bearer_token(self):
        path = f"/endpoints/{ENDPOINT}/invocations"
        named = {"X-Amzn-SageMaker-Target-Model": TENANT_A}
        ask = lambda value: call("POST", path, b"", {"Authorization": value, **named})
        token = os.environ["TOKEN"]
        self.assertEqual(ask(f"Bearer {token}"), (200, "ok"))
        self.assertEqual(ask(f"bearer {token}"), (200, "ok"))
        for wrong in (token[:-1], token + "x", token.upper()):
            status, body = ask(f"Bearer {wrong}")
            self.assertEqual(status, 403)
            self.assertNotIn(wrong, body)
        self.assertEqual(ask("Basic bm9ib2R5")[0], 400)
        self.assertEqual(ask(token)[0], 400)
        self.assertNotIn(token, ask(token)[1])

    def test_managing_needs_a_key_for_it(self):
        self.assertEqual(call("GET", "/models")[0], 403)
        for who, expected in [("MANAGER", 200), ("TENANT", 403), ("CHURN", 403)]:
            self.assertEqual(call("GET", "/models", signed_by=who)[0], expected, who)
        status, body = call("GET", "/models", signed_by="TENANT")
        self.assertIn("AccessDeniedException", body)

    def test_managing_with_a_body_and_names_in_paths(self):
        body = b'{"model_name": "managed", "url": "tenant-b/m.tar.gz"}'
        headers = {"Content-Type": "application/json"}
        load = lambda who: call("POST", "/models", body, headers, who)
        self.assertEqual(load("TENANT")[0], 403)
        self.assertEqual(load("MANAGER")[0], 200)
        self.assertEqual(call("GET", "/models/managed", signed_by="MANAGER")[0], 200)
        self.assertEqual(call("GET", "/models?limit=1", signed_by="MANAGER")[0], 200)
        self.assertEqual(call("DELETE", "/models/managed", signed_by="TENANT")[0], 403)
        self.assertEqual(call("DELETE", "/models/managed", signed_by="MANAGER")[0], 200)
        # A name with a slash, written both ways.
        self.invoke(TargetModel=TENANT_A, using=client(*key("TENANT")))
        for name in ("tenant-a/m.tar.gz", "tenant-a%2Fm.tar.gz"):
            self.assertEqual(call("GET", f"/models/{name}", signed_by="MANAGER")[0], 200, name)

    def test_monitoring(self):
        self.assertEqual(call("GET", "/ping")[0], 200)
        for path in ("/metrics", "/ready"):
            self.assertEqual(call("GET", path)[0], 403)
            self.assertEqual(call("GET", path, signed_by="MANAGER")[0], 200)
            self.assertEqual(call("GET", path, signed_by="TENANT")[0], 403)
