"""A server with custom authorizers whose functions run here, for the tests of the doors."""

import hashlib
import json
import ssl
from urllib.parse import quote

from lambdas import Lambda, Signer, arn
from provision import allow, document, unique
from server import Server

TOKEN_KEY = "Door-Token"

# An authorizer's policy: to connect, and `ok/...`.
POLICY = document(allow("iot:Connect", "*"), allow(["iot:Publish", "iot:Receive", "iot:RetainPublish"], "arn:aws:iot:*:*:topic/ok/*"),
                  allow("iot:Subscribe", "arn:aws:iot:*:*:topicfilter/ok/*"))


def let_in(event):
    """Lets in who does not say that it shall not."""
    good = "no-entry" not in json.dumps(event)
    pem = event.get("protocolData", {}).get("tls", {}).get("x509CertificatePem")
    # Beside a certificate the principal is the certificate.
    principal = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() if pem else "somebody"
    return {"isAuthenticated": good, "principalId": principal, "policyDocuments": [POLICY], "refreshAfterInSeconds": 300}


def broken(event):
    raise KeyError("no such user")


class House:
    """A server, and authorizers: `open` (without signing), `signed`, `cached` (for HTTP), `broken` (its function fails)."""

    def __init__(self, folder):
        self.lambdas = Lambda(letin=let_in, broken=broken)
        self.signer = Signer()
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "thingcore.toml"
        config.write_text(f'[functions]\nendpoint = "{self.lambdas.url}"\n')
        self.server = Server(folder / "server", "--config", config).start()
        self.open = self._authorizer("letin", signingDisabled=True)
        self.cached = self._authorizer("letin", signingDisabled=True, enableCachingForHttp=True)
        self.broken = self._authorizer("broken", signingDisabled=True)
        self.inactive = self._authorizer("letin", signingDisabled=True, status="INACTIVE")
        self.signed = self._authorizer(
            "letin", tokenKeyName=TOKEN_KEY, tokenSigningPublicKeys={"one": self.signer.public_key})

    def _authorizer(self, function, **members):
        name = unique("door")
        self.server.account.iot.create_authorizer(
            authorizerName=name, authorizerFunctionArn=arn(function), **{"status": "ACTIVE", **members})
        return name

    def asked(self, marker):
        """The events with this word in them that functions got."""
        return [event for _, event in list(self.lambdas.events) if marker in json.dumps(event)]

    def query(self, authorizer, token=None, signature=None, **more):
        """What a client says to be let in, as a query."""
        members = {"x-amz-customauthorizer-name": authorizer, **more}
        if token:
            members |= {TOKEN_KEY: token, "x-amz-customauthorizer-signature": signature or self.signer.sign(token)}
        return "&".join(f"{name}={quote(value, safe='')}" for name, value in members.items())

    def headers(self, authorizer, token=None, signature=None, **more):
        members = {"x-amz-customauthorizer-name": authorizer, **more}
        if token:
            members |= {TOKEN_KEY: token, "x-amz-customauthorizer-signature": signature or self.signer.sign(token)}
        return members

    def stop(self):
        self.server.stop()
        self.lambdas.stop()
