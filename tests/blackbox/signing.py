"""Signature Version 4 by hand: presigned paths for MQTT over WebSocket, as the developer guide's old example makes them
(MQTT over the WebSocket protocol), and wrong in any part that a test names."""

import datetime
import hashlib
import hmac
import io
from urllib.parse import quote

from awscrt.auth import AwsCredentialsProvider, AwsSignatureType, AwsSigningAlgorithm, AwsSigningConfig, aws_sign_request
from awscrt.http import HttpHeaders, HttpRequest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

EMPTY = hashlib.sha256(b"").hexdigest()


def basic(moment=None, ago=0):
    """A moment as signatures write it; `ago` seconds before now if none is given."""
    moment = moment or datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=ago)
    return moment.strftime("%Y%m%dT%H%M%SZ")


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _signature(secret, moment, scope, canonical):
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return _hmac(key, f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}").hex()


def presigned_path(server, host, path="/mqtt", method="GET", service="iotdevicegateway", region=None, key=None, secret=None,
                   moment=None, ago=0, scope_date=None, expires=None, token=None, sign_token=False, signed_path=None, connection=None):
    """`path` with the query that signs it. `host` is what the client will send as Host, or what it signs instead.

    A session token is appended after signing, as AWS's devices do it, unless `sign_token`. `connection`: that header is
    signed too, as the SDKs do it."""
    key, secret = key or server.ready["access_key_id"], secret or server.ready["secret_access_key"]
    moment = moment or basic(ago=ago)
    scope = f"{scope_date or moment[:8]}/{region or server.region}/{service}/aws4_request"
    query = {"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{key}/{scope}", "X-Amz-Date": moment,
             "X-Amz-SignedHeaders": "connection;host" if connection else "host"}
    if expires is not None:
        query["X-Amz-Expires"] = str(expires)
    if token and sign_token:
        query["X-Amz-Security-Token"] = token
    text = "&".join(f"{name}={quote(query[name], safe='')}" for name in sorted(query))
    headers = f"connection:{connection}\nhost:{host}\n" if connection else f"host:{host}\n"
    canonical = f"{method}\n{signed_path or path}\n{text}\n{headers}\n{query['X-Amz-SignedHeaders']}\n{EMPTY}"
    text += "&X-Amz-Signature=" + _signature(secret, moment, scope, canonical)
    if token and not sign_token:
        text += "&X-Amz-Security-Token=" + quote(token, safe="")
    return f"{path}?{text}"


def headers(server, host, method, path, body, secret=None, service="iotdata"):
    """The headers that sign a request in its headers, by botocore."""
    request = AWSRequest(method, f"https://{host}{path}", {"Host": host}, body)
    credentials = Credentials(server.ready["access_key_id"], secret or server.ready["secret_access_key"])
    SigV4Auth(credentials, service, server.region).add_auth(request)
    return dict(request.headers)


def crt_headers(server, host, method, path, body, connection, service="iotdata"):
    """The same by awscrt, as AWS's device SDKs do it: `Connection` is signed too, which botocore never does."""
    request = HttpRequest(method, path, HttpHeaders([("Host", host), ("Connection", connection)]), io.BytesIO(body))
    config = AwsSigningConfig(
        algorithm=AwsSigningAlgorithm.V4, signature_type=AwsSignatureType.HTTP_REQUEST_HEADERS, region=server.region, service=service,
        credentials_provider=AwsCredentialsProvider.new_static(server.ready["access_key_id"], server.ready["secret_access_key"]))
    return dict(aws_sign_request(request, config).result(10).headers)
