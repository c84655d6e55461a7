// An access key for the AWS IoT Device SDK.
'use strict';
const { auth } = require('aws-iot-device-sdk-v2');

// o: accessKeyId, secretAccessKey, sessionToken (null for keys that have none)
function provider(o) {
  return auth.AwsCredentialsProvider.newStatic(o.accessKeyId, o.secretAccessKey, o.sessionToken || undefined);
}

module.exports = { provider };
