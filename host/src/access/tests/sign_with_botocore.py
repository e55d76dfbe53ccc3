"""Signs requests with botocore, as the fixtures of tests/botocore.rs.

    python -m venv venv && venv/bin/pip install botocore==1.44.5
    venv/bin/python sign_with_botocore.py > botocore.json

One case is what stands on the wire: method, target, headers in order, body (hexadecimal), and what
is to become of it: "ok", or the code of the error.
"""

import datetime
import json
import sys
from urllib.parse import urlsplit

import botocore.auth
import botocore.session
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials

NOW = datetime.datetime(2026, 11, 22, 21, 44, 48)
botocore.auth.get_current_datetime = lambda remove_tzinfo=True: NOW

ID = "MODELCELLTEST0000001"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
URL = "http://127.0.0.1:8080"

cases = []


def record(name, prepared, expected="ok", headers=None):
    """Adds a request as botocore's HTTP client puts it on the wire."""
    parts = urlsplit(prepared.url)
    text = lambda value: value.decode("latin-1") if isinstance(value, bytes) else str(value)
    headers = [[key, text(value)] for key, value in (headers or prepared.headers).items()]
    # As urllib3 sends it: in lower case, without the scheme's own port.
    port = {"http": ":80", "https": ":443"}[parts.scheme]
    headers.insert(0, ["Host", parts.netloc.lower().removesuffix(port)])
    body = prepared.body or b""
    if hasattr(body, "read"):
        body = body.read()
    if isinstance(body, str):
        body = body.encode()
    cases.append(
        {
            "name": name,
            "method": prepared.method,
            "target": (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            "headers": headers,
            "body": body.hex(),
            "expected": expected,
        }
    )


def client(name, expected="ok", secret=SECRET, key=ID, token=None, url=URL, region="eu-west-1", **arguments):
    """A call of the real client."""
    made = botocore.session.get_session().create_client(
        "sagemaker-runtime",
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}),
    )

    def send(request, **_):
        record(name, request, expected)
        return AWSResponse(request.url, 200, {}, Raw())

    made.meta.events.register("before-send", send)
    made.invoke_endpoint(**{"EndpointName": "churn", "Body": b"1,2,3", **arguments})


class Raw:
    """An empty answer."""

    def stream(self, *_, **__):
        return iter(())


def raw(name, method, target, headers=(), body=b"", expected="ok", params=None, auth=SigV4Auth,
        service="sagemaker", context=None, url=URL):
    """A request that somebody signs on their own."""
    request = AWSRequest(method=method, url=url + target, data=body, params=params)
    for key, value in headers:
        request.headers[key] = value  # Adds: an e-mail message's headers are a list.
    request.context.update(context or {})
    auth(Credentials(ID, SECRET), service, "us-east-1").add_auth(request)
    # The prepared request keeps one header of a name.
    record(name, request.prepare(), expected, request.headers)


client("client")
client("client: all headers", TargetModel="tenant-a/iris  v1.tar.gz", ContentType="text/csv",
       Accept="application/json", CustomAttributes="a=1,  b=2;c", TargetVariant="blue",
       InferenceId="0001")
client("client: empty body", Body=b"")
client("client: binary body", Body=bytes(range(256)) * 3, ContentType="application/x-npy")
client("client: endpoint with odd characters", EndpointName="a b/ü%2F~'()*+,;=:@")
client("client: dots", EndpointName="..")
client("client: prefix in the URL", url=URL + "/some//prefix/")
client("client: default port", url="http://Models.Example:80")
client("client: IPv6", url="http://[::1]:8080")
client("client: over TLS", url="https://models.example", Body=b"x" * 1000)
client("client: any region", region="mars-north-7")
client("client: wrong secret", "InvalidSignatureException", secret=SECRET[:-1])
client("client: unknown key", "UnrecognizedClientException", key="MODELCELLTEST0000002")
client("client: session token", "UnrecognizedClientException", token="session")

raw("list", "GET", "/models")
raw("root", "GET", "")
raw("space", "DELETE", "/models/a%20b.tar.gz")
raw("slash as %2F", "DELETE", "/models/tenant-a%2Fx.tar.gz")
raw("lower-case %2f", "DELETE", "/models/tenant-a%2fx.tar.gz")
raw("unicode", "GET", "/models/%C3%BC%E1%88%B4.tar.gz")
raw("sub-delimiters", "GET", "/models/a!$&'()*+,;=:@b~c")
raw("empty segments", "GET", "//models///a//")
raw("dot segments", "GET", "/models/./x/../../models/y/.")
raw("above the root", "GET", "/../../models/")
raw("only dots", "GET", "/./")
raw("query", "GET", "/models?next_page_token=10&limit=5")
raw("query: order", "GET", "/models?b=2&a=2&a=1&A=3&a-b=1&a=")
raw("query: no value", "GET", "/models?a&b=")
raw("query: encoded", "GET", "/models?x=%20%2B%2F%3D%26%C3%BC~")
raw("query: parameters", "GET", "/models", params={"next_page_token": "a b+c/ü=&~", "limit": "5"})
raw("load", "POST", "/models", [("Content-Type", "application/json")],
    b'{"model_name": "a", "url": "a.tar.gz"}')
raw("header values", "POST", "/invocations",
    [("X-Amzn-SageMaker-Custom-Attributes", " \t a   b \t\tc "), ("X-Empty", ""), ("X-Blank", "   ")])
raw("two values", "GET", "/models", [("X-Two", "b  c"), ("X-Two", " a"), ("X-Two", "")])
raw("Date", "GET", "/models", [("Date", "now")])
raw("digest of the body", "POST", "/invocations",
    [("X-Amz-Content-SHA256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")], b"abc")
raw("digest of another body", "POST", "/invocations",
    [("X-Amz-Content-SHA256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")],
    b"abd", "InvalidSignatureException")
raw("unsigned body", "POST", "/invocations", body=b"abc", expected="InvalidSignatureException",
    context={"payload_signing_enabled": False}, url="https://models.example")
raw("other service", "GET", "/models", expected="InvalidSignatureException", service="s3")
raw("presigned", "GET", "/models", expected="IncompleteSignatureException", auth=SigV4QueryAuth)

json.dump({"access_key_id": ID, "secret": SECRET, "seconds": 1795383888, "cases": cases},
          sys.stdout, indent=1, ensure_ascii=True)
print()
