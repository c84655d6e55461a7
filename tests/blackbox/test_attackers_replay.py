"""Attackers who have recorded something: a URL, a CONNECT, a whole TLS connection."""

import contextlib
import socket
import ssl
import threading

import pytest

import wire
from attacks import ENDED, greeted, honest, many_sockets, opened, server, unharmed  # noqa: F401
from provision import AccessKey, allow, document, unique
from websocket import Refused as UpgradeRefused
from websocket import WebSocket, host_of
from wire import V5, Closed, Wire

pytestmark = [pytest.mark.xdist_group("attackers"), pytest.mark.timeout(300)]


def upgrades(server, path):
    try:
        WebSocket.dial(server, path).close()
        return True
    except (UpgradeRefused, Closed):
        return False


def test_replay_of_a_presigned_url(server):
    """Within its life it lets in whoever has it, as at AWS. Not after, not changed, and not when its key is gone."""
    host, iam, name = host_of(server), server.boto("iam"), unique("user")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(allow("iot:Connect", "*")))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    user = AccessKey(server, key["AccessKeyId"], key["SecretAccessKey"])
    path = user.presigned_path(host, expires=300)
    assert upgrades(server, path) and upgrades(server, path)
    assert not upgrades(server, user.presigned_path(host, expires=5, ago=10))
    changed = {
        "later": path.replace("X-Amz-Expires=300", "X-Amz-Expires=3000"), "no end": path.replace("&X-Amz-Expires=300", ""),
        "another region": path.replace(server.region, "eu-central-9"), "twice": path + "&X-Amz-Expires=300",
        "another service": path.replace("iotdevicegateway", "iotdata"), "more": path + "&x-amz-customauthorizer-name=a",
        "another key": path.replace(user.key_id, server.ready["access_key_id"]), "no signature": path.split("&X-Amz-Signature")[0],
        "half a signature": path[:-32], "a signature of zeros": path[:-64] + "0" * 64,
    }
    assert path not in changed.values()
    assert [name for name, url in changed.items() if upgrades(server, url)] == []
    iam.delete_access_key(UserName=name, AccessKeyId=user.key_id)
    assert not upgrades(server, path)


def test_replay_of_a_connect(server):
    """A CONNECT's bytes say nothing: it is the handshake before them that proves who sends them."""
    account, name = server.account, unique("victim")
    victim = account.device(allow("iot:*", f"arn:aws:iot:*:*:client/{name}"))
    stranger = account.device(allow("iot:Connect", "arn:aws:iot:*:*:client/somebody-else"))
    heard = wire.connect(V5, name, clean=False, session_expiry=60)
    with Wire.dial(server, victim) as own:
        own.send(heard)
        assert own.receive().code == 0
        with Wire.dial(server, stranger) as other:
            other.send(heard)
            with contextlib.suppress(Closed):
                assert other.receive().code >= 0x80
        with pytest.raises(ENDED):
            with Wire.dial(server, None) as nobody:
                nobody.send(heard)
                nobody.receive()
        assert own.ping() == [], "the victim was thrown out"


class Recorder:
    """Stands between a client and the server and keeps what the client sends, as a listener on the path does."""

    def __init__(self, server, port):
        self.server, self.port, self.heard = server, port, bytearray()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.place = self.listener.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        near, _ = self.listener.accept()
        far = socket.create_connection(("127.0.0.1", self.server.ports[self.port]))
        threading.Thread(target=self._carry, args=(far, near, None), daemon=True).start()
        self._carry(near, far, self.heard)

    @staticmethod
    def _carry(source, sink, kept):
        try:
            while data := source.recv(65536):
                if kept is not None:
                    kept += data
                sink.sendall(data)
        except OSError:
            pass
        for sock in (source, sink):
            sock.close()

    def close(self):
        self.listener.close()


class Through:
    """The server as a client behind the recorder sees it."""

    def __init__(self, server, port):
        self.ca_file, self.ports = server.ca_file, {"mqtt": port}


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls1.2", "tls1.3"])
def test_replay_of_a_whole_connection(server, newest):
    """Everything that a client sent, sent once more by somebody without its key."""
    recorder, device = Recorder(server, "mqtt"), server.account.everything()
    name = unique("recorded")
    context = wire.tls_context(server, device, newest=newest)
    with Wire.dial(Through(server, recorder.place[1]), device, context=context) as client:
        assert client.connect(name).code == 0
        client.publish("recorded", "once", qos=1)
        heard = bytes(recorder.heard)
        with greeted(server, "plain", V5) as ear:
            ear.subscribe("recorded")
            with opened(server, "mqtt", heard) as again:
                # The server may have hung up already.
                with contextlib.suppress(OSError):
                    again.shutdown(socket.SHUT_WR)
                    while again.recv(65536):
                        pass
            assert ear.ping() == [], "a recorded message came in again"
        assert client.ping() == [], "a recorded CONNECT took over"
    recorder.close()
