// aws-iot-device-sdk-v2, MQTT 3.1.1: mutual TLS from files, with an access key a signed WebSocket, or with a custom
// authorizer, directly or by WebSocket.
'use strict';
const { mqtt, iot } = require('aws-iot-device-sdk-v2');
const { emit, hex, serve, refusal } = require('./lines');
const { provider } = require('./aws-keys');

let connection;
let over = false; // interrupted: disconnecting would wait for the next attempt to connect
let interrupted = null; // rejects the operation in progress when the connection ends under it

function orEnd(promise) {
  return Promise.race([promise, new Promise((_, reject) => { interrupted = reject; })]);
}

function builderOf(o) {
  const builders = iot.AwsIotMqttConnectionConfigBuilder;
  if (o.authorizer) {
    const a = o.authorizer;
    return (o.websocket ? builders.new_with_websockets() : builders.new_default_builder())
      .with_custom_authorizer(a.username || '', a.authorizerName, a.tokenSignature, a.password || '', a.tokenKeyName, a.tokenValue);
  }
  return o.accessKeyId
    ? builders.new_with_websockets({ region: o.region, credentials_provider: provider(o) })
    : builders.new_mtls_builder_from_path(o.cert, o.key);
}

const commands = {
  connect: async (o) => {
    const builder = builderOf(o);
    builder.with_certificate_authority_from_path(undefined, o.ca).with_endpoint(o.host).with_port(o.port);
    builder.with_client_id(o.clientId).with_clean_session(true).with_keep_alive_seconds(60).with_reconnect_min_sec(60).with_reconnect_max_sec(120);
    if (o.will) builder.with_will({ topic: o.will.topic, payload: o.will.payload, qos: o.will.qos || 0, retain: !!o.will.retain });
    connection = new mqtt.MqttClient().new_connection(builder.build());
    connection.on('error', () => {});
    connection.on('interrupt', (error) => {
      over = true;
      if (interrupted) interrupted(refusal(null, String(error)));
      emit('end', { code: null });
    });
    connection.on('message', (topic, payload, dup, qos, retain) =>
      emit('message', { topic, payload: hex(payload), qos, retain }));
    await connection.connect();
    return {};
  },
  subscribe: async (o) => ({ code: (await orEnd(connection.subscribe(o.filter, o.qos))).qos }),
  publish: async (o) => {
    await orEnd(connection.publish(o.topic, o.payload, o.qos, o.retain));
    return {};
  },
};

serve(commands, async () => {
  if (connection && !over) await connection.disconnect().catch(() => {});
});
