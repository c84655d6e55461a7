// One JSON command a line on standard input, one JSON event a line on standard output.
'use strict';
const readline = require('readline');

console.log = console.error; // Standard output is for events: the SDK warns of every port but 443 there.

function emit(event, more) {
  process.stdout.write(JSON.stringify({ event, ...more }) + '\n');
}

// commands: name -> async function(arguments); what it returns is the answer, what it throws a refusal.
function serve(commands, atEnd) {
  const input = readline.createInterface({ input: process.stdin });
  input.on('line', async (line) => {
    const { command, ...rest } = JSON.parse(line);
    try {
      emit('done', await commands[command](rest));
    } catch (error) {
      emit('refused', { code: error.code5, detail: String(error && error.message) });
    }
  });
  input.on('close', async () => {
    await atEnd();
    process.exit(0);
  });
}

function refusal(code, detail) {
  return Object.assign(new Error(detail || `code ${code}`), { code5: code });
}

// The SDK hands an empty payload over as a detached buffer, which Buffer.from refuses.
function hex(payload) {
  return payload && payload.byteLength ? Buffer.from(payload).toString('hex') : '';
}

module.exports = { emit, hex, serve, refusal };
