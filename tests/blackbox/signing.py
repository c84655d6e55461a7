"""Signature Version 4 by hand: presigned paths for MQTT over WebSocket, as the developer guide's old example makes them
(MQTT over the WebSocket protocol), and wrong in any part that a test names."""

import datetime
import hashlib
import hmac
from urllib.parse import quote

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
                   moment=None, ago=0, scope_date=None, expires=None, token=None, sign_token=False, signed_path=None):
    """`path` with the query that signs it. `host` is what the client will send as Host, or what it signs instead.

    A session token is appended after signing, as AWS's devices do it, unless `sign_token`."""
    key, secret = key or server.ready["access_key_id"], secret or server.ready["secret_access_key"]
    moment = moment or basic(ago=ago)
    scope = f"{scope_date or moment[:8]}/{region or server.region}/{service}/aws4_request"
    query = {"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{key}/{scope}", "X-Amz-Date": moment,
             "X-Amz-SignedHeaders": "host"}
    if expires is not None:
        query["X-Amz-Expires"] = str(expires)
    if token and sign_token:
        query["X-Amz-Security-Token"] = token
    text = "&".join(f"{name}={quote(query[name], safe='')}" for name in sorted(query))
    canonical = f"{method}\n{signed_path or path}\n{text}\nhost:{host}\n\nhost\n{EMPTY}"
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
