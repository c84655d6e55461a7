"""Devices for the tests, made through boto3 as any user of AWS IoT would make them."""

import itertools
import json
import os
import threading

from signing import presigned_path

_counter = itertools.count(1)
_run = f"{os.environ.get('PYTEST_XDIST_WORKER', 'w')}{os.getpid() % 10000:04d}"


def unique(prefix="t"):
    """A name no other test uses, short enough for every limit and free of anything a policy would treat specially."""
    return f"{prefix}-{_run}-{next(_counter)}"


def allow(action, resource, **more):
    return dict({"Effect": "Allow", "Action": action, "Resource": resource}, **more)


def deny(action, resource, **more):
    return dict(allow(action, resource, **more), Effect="Deny")


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


ALLOW_ALL = document(allow("iot:*", "*"))


class Device:
    """A certificate with its key in files, and what hangs on it."""

    def __init__(self, account, name, created, folder):
        self.account, self.name = account, name
        self.certificate_id, self.arn = created["certificateId"], created["certificateArn"]
        self.certificate_pem = created["certificatePem"]
        self.certificate_file, self.key_file = str(folder / f"{name}.cert.pem"), str(folder / f"{name}.key.pem")
        self.policy_name = None

    def set_status(self, status):
        self.account.iot.update_certificate(certificateId=self.certificate_id, newStatus=status)

    def attach(self, policy_name):
        self.account.iot.attach_policy(policyName=policy_name, target=self.arn)
        self.policy_name = policy_name

    def detach(self, policy_name):
        self.account.iot.detach_policy(policyName=policy_name, target=self.arn)

    def replace_policy(self, *statements):
        """Makes a new default version of the device's own policy."""
        iot = self.account.iot
        versions = iot.list_policy_versions(policyName=self.policy_name)["policyVersions"]
        if len(versions) == 5:
            oldest = next(v for v in reversed(versions) if not v["isDefaultVersion"])
            iot.delete_policy_version(policyName=self.policy_name, policyVersionId=oldest["versionId"])
        iot.create_policy_version(policyName=self.policy_name, policyDocument=document(*statements), setAsDefault=True)


class AccessKey:
    """An access key; whatever is given replaces what is right."""

    def __init__(self, server, key_id=None, secret=None, token=None, region=None):
        self.server, self.region, self.token = server, region, token
        self.key_id = key_id or server.ready["access_key_id"]
        self.secret = secret or server.ready["secret_access_key"]

    def provider(self):
        """For the AWS SDKs."""
        from awscrt.auth import AwsCredentialsProvider

        return AwsCredentialsProvider.new_static(self.key_id, self.secret, self.token)

    def presigned_path(self, host, **changes):
        """`/mqtt` with its signature, see `signing.presigned_path`."""
        given = dict(key=self.key_id, secret=self.secret, token=self.token, region=self.region)
        return presigned_path(self.server, host, **{**given, **changes})


class Account:
    """The registry of one server."""

    def __init__(self, server):
        self.server = server
        self.iot, self.data = server.boto("iot"), server.boto("iot-data")
        self.folder = server.folder / "devices"
        self.folder.mkdir(exist_ok=True)
        self._lock = threading.Lock()
        self._everything = None

    def policy(self, *statements, name=None):
        name = name or unique("policy")
        self.iot.create_policy(policyName=name, policyDocument=document(*statements))
        return name

    def certificate(self, name=None, active=True):
        """A certificate without policies or things."""
        name = name or unique("device")
        created = self.iot.create_keys_and_certificate(setAsActive=active)
        device = Device(self, name, created, self.folder)
        with open(device.certificate_file, "w") as file:
            file.write(created["certificatePem"])
        with open(device.key_file, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(created["keyPair"]["PrivateKey"])
        return device

    def device(self, *statements, name=None, thing=False, exclusive=False):
        """A certificate with a policy of its own: these statements, or everything allowed. Optionally with a thing."""
        device = self.certificate(name)
        device.attach(self.policy(*(statements or [allow("iot:*", "*")]), name=f"{device.name}-policy"))
        if thing:
            self.iot.create_thing(thingName=device.name)
            more = {"thingPrincipalType": "EXCLUSIVE_THING"} if exclusive else {}
            self.iot.attach_thing_principal(thingName=device.name, principal=device.arn, **more)
        return device

    def owner(self):
        """The server's own access key, which may do everything."""
        return AccessKey(self.server)

    def user(self, *statements):
        """The access key of a new IAM user that may do this."""
        iam, name = self.server.boto("iam"), unique("user")
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(*statements))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return AccessKey(self.server, key["AccessKeyId"], key["SecretAccessKey"])

    def everything(self):
        """A device that may do everything, shared by all tests that do not care; any client id."""
        with self._lock:
            if self._everything is None:
                self._everything = self.device()
            return self._everything
