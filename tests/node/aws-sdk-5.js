// aws-iot-device-sdk-v2, MQTT 5, as in the SDK's samples: mutual TLS from files, with an access key a signed WebSocket, or
// with a custom authorizer, directly or by WebSocket.
'use strict';
const { mqtt5, iot } = require('aws-iot-device-sdk-v2');
const { emit, hex, serve, refusal } = require('./lines');
const { provider } = require('./aws-keys');

let client;

function builderOf(o) {
  const builders = iot.AwsIotMqtt5ClientConfigBuilder;
  if (o.authorizer) {
    const { password, ...authorizer } = o.authorizer;
    if (password) authorizer.password = Buffer.from(password);
    return o.websocket ? builders.newWebsocketMqttBuilderWithCustomAuth(o.host, authorizer)
      : builders.newDirectMqttBuilderWithCustomAuth(o.host, authorizer);
  }
  return o.accessKeyId
    ? builders.newWebsocketMqttBuilderWithSigv4Auth(o.host, { region: o.region, credentialsProvider: provider(o) })
    : builders.newDirectMqttBuilderWithMtlsFromPath(o.host, o.cert, o.key);
}

const commands = {
  connect: (o) => new Promise((resolve, reject) => {
    const builder = builderOf(o);
    builder.withCertificateAuthorityFromPath(undefined, o.ca).withPort(o.port).withMinReconnectDelayMs(60000).withMaxReconnectDelayMs(120000);
    const connect = { clientId: o.clientId, keepAliveIntervalSeconds: 60 };
    if (o.will) {
      connect.will = { topicName: o.will.topic, payload: Buffer.from(o.will.payload), qos: o.will.qos || 0, retain: !!o.will.retain };
    }
    builder.withConnectProperties(connect);
    client = new mqtt5.Mqtt5Client(builder.build());
    client.on('connectionSuccess', () => resolve({}));
    client.on('connectionFailure', (e) => reject(refusal(e.connack ? e.connack.reasonCode : null, String(e.error))));
    client.on('disconnection', (e) => emit('end', { code: e.disconnect ? e.disconnect.reasonCode : null }));
    client.on('messageReceived', (e) => emit('message', {
      topic: e.message.topicName, payload: hex(e.message.payload), qos: e.message.qos, retain: !!e.message.retain,
    }));
    client.on('error', () => {});
    client.start();
  }),
  subscribe: async (o) => {
    const suback = await client.subscribe({ subscriptions: [{ topicFilter: o.filter, qos: o.qos }] });
    const code = suback.reasonCodes[0];
    if (code >= 0x80) throw refusal(code);
    return { code };
  },
  publish: async (o) => {
    const puback = await client.publish({ topicName: o.topic, payload: Buffer.from(o.payload), qos: o.qos, retain: o.retain });
    if (puback && puback.reasonCode >= 0x80) throw refusal(puback.reasonCode);
    return {};
  },
};

serve(commands, () => new Promise((resolve) => {
  if (!client) return resolve();
  client.on('stopped', () => { client.close(); resolve(); });
  client.stop({ reasonCode: mqtt5.DisconnectReasonCode.NormalDisconnection });
}));
