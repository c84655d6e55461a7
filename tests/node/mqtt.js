// The `mqtt` package (MQTT.js), MQTT 3.1.1 and 5, mutual TLS; with a URL, whatever the URL says.
'use strict';
const fs = require('fs');
const mqtt = require('mqtt');
const { emit, serve, refusal } = require('./lines');

let client;
let waiting = null; // rejects the operation in progress when the connection ends under it

function orEnd(run) {
  return new Promise((resolve, reject) => {
    waiting = reject;
    run(resolve, reject);
  }).finally(() => { waiting = null; });
}

const commands = {
  connect: (o) => orEnd((resolve, reject) => {
    const ca = fs.readFileSync(o.ca);
    const way = o.url
      ? { wsOptions: { ca } }
      : { protocol: 'mqtts', host: o.host, port: o.port, ca, cert: fs.readFileSync(o.cert), key: fs.readFileSync(o.key) };
    client = mqtt.connect(o.url, {
      ...way, protocolVersion: o.version, clientId: o.clientId, clean: true, reconnectPeriod: 0,
      will: o.will ? { topic: o.will.topic, payload: Buffer.from(o.will.payload), qos: o.will.qos || 0, retain: !!o.will.retain } : undefined,
    });
    let code = null;
    let open = false;
    client.on('connect', () => { open = true; resolve({}); });
    client.on('error', (error) => reject(refusal(error.code, error.message)));
    client.on('disconnect', (packet) => { code = packet.reasonCode; });
    client.on('close', () => {
      if (waiting) waiting(refusal(code, 'the connection ended'));
      if (open) emit('end', { code });
    });
    client.on('message', (topic, payload, packet) =>
      emit('message', { topic, payload: payload.toString('hex'), qos: packet.qos, retain: packet.retain }));
  }),
  subscribe: (o) => orEnd((resolve, reject) => {
    client.subscribe(o.filter, { qos: o.qos }, (error, granted, packet) => {
      const code = packet && packet.granted ? packet.granted[0] : granted && granted[0] && granted[0].qos;
      if (error || code >= 0x80) reject(refusal(code !== undefined ? code : error && error.code, error && error.message));
      else resolve({ code });
    });
  }),
  publish: (o) => orEnd((resolve, reject) => {
    client.publish(o.topic, o.payload, { qos: o.qos, retain: o.retain }, (error, packet) => {
      const code = error ? error.code : packet && packet.reasonCode;
      if (error || code >= 0x80) reject(refusal(code, error && error.message));
      else resolve({});
    });
  }),
};

serve(commands, () => new Promise((resolve) => (client ? client.end(false, {}, resolve) : resolve())));
