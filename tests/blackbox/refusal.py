"""What a refusal looks like on the wire, where AWS leaves room: the tests accept what is documented and nothing else."""

import wire
from wire import CONNACK, DISCONNECT, PUBACK, SUBACK, V5, Closed


def outcome(connection, within=wire.DEADLINE):
    """The next packet, or None if the server closed."""
    try:
        return connection.receive(within)
    except Closed:
        return None


def connect_refused(connection, code=None):
    """MQTT 5: CONNACK with this code (any failure if none is given), then the end. MQTT 3.1.1: AWS documents no CONNACK
    but 0x00, so an end without one, or one with a failure code."""
    answer = outcome(connection)
    if connection.version == V5 and code is not None:
        assert answer is not None, f"closed without the CONNACK 0x{code:02x}"
    if answer is not None:
        assert answer.kind == CONNACK and answer.code != 0 and not answer.session_present, answer
        if connection.version == V5 and code is not None:
            assert answer.code == code, answer
        connection.expect_end()
    return answer


def publish_refused(connection, code):
    """MQTT 5: PUBACK with this code, or DISCONNECT with it and the end. MQTT 3.1.1: the end, no PUBACK."""
    answer = outcome(connection)
    if connection.version != V5:
        assert answer is None, answer
        return None
    assert answer is not None, "closed without a word"
    assert answer.kind in (PUBACK, DISCONNECT) and answer.code == code, answer
    if answer.kind == DISCONNECT:
        connection.expect_end()
    return answer


def subscribe_refused(connection, *codes):
    """MQTT 5: SUBACK that grants nothing, or DISCONNECT, with one of these codes. MQTT 3.1.1: SUBACK 0x80 or the end."""
    answer = outcome(connection)
    if answer is None:
        assert connection.version != V5, "closed without a word"
    elif answer.kind == SUBACK:
        allowed = codes if connection.version == V5 else (0x80,)
        assert all(code in allowed for code in answer.codes), answer
    else:
        assert connection.version == V5 and answer.kind == DISCONNECT and answer.code in codes, answer
        connection.expect_end()
    return answer
