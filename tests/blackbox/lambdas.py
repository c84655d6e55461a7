"""Lambda functions for the tests: an HTTP server that speaks Lambda's Invoke API, and commands; and signed tokens."""

import base64
import contextlib
import http.server
import json
import threading
import urllib.parse

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

PREFIX = "/2015-03-31/functions/"
SUFFIX = "/invocations"


def arn(name):
    return f"arn:aws:lambda:us-east-1:123456789012:function:{name}"


class Lambda:
    """Functions by name: each gets the event and answers an object, bytes, or raises. `events` keeps what came."""

    def __init__(self, **functions):
        self.functions, self.events = functions, []
        self.stopping = threading.Event()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                owner.serve(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, request):
        event = json.loads(request.rfile.read(int(request.headers["content-length"])))
        path = urllib.parse.unquote(request.path)
        assert path.startswith(PREFIX) and path.endswith(SUFFIX), path
        name = path[len(PREFIX):-len(SUFFIX)].rpartition(":")[2]
        self.events.append((name, event))
        function, headers, status = self.functions.get(name), {}, 200
        if function is None:
            status, answer = 404, {"Message": f"Function not found: {name}"}
        else:
            try:
                answer = function(event)
            except Exception as error:
                headers = {"X-Amz-Function-Error": "Unhandled"}
                answer = {"errorMessage": str(error), "errorType": type(error).__name__}
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        with contextlib.suppress(OSError):
            request.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                request.send_header(key, value)
            request.end_headers()
            request.wfile.write(body)

    def stop(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()


class Signer:
    """A key pair that signs tokens."""

    def __init__(self, bits=2048):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=bits)

    @property
    def public_key(self):
        kind = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, kind).decode()

    def sign(self, token):
        return base64.b64encode(self.key.sign(token.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
