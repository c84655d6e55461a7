// A page in a real browser (Chromium): MQTT.js's browser bundle over a presigned WebSocket URL. Reads one JSON object from
// standard input (bundle, url, topic, payload) and writes one to standard output: what the page saw, or why there is no browser.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const CACHE = join(dirname(fileURLToPath(import.meta.url)), 'node_modules', '.cache', 'thingcore-chromium');
const INSTALLED = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

function answer(value) {
  process.stdout.write(JSON.stringify(value) + '\n');
  process.exit(0);
}

// The browser that the package brings, unpacked once. Unpacking goes to a folder of its own and moves into place, so that two
// at a time do not meet.
async function brought() {
  const binary = join(CACHE, 'chromium');
  if (existsSync(binary)) return binary;
  mkdirSync(dirname(CACHE), { recursive: true });
  const { TMPDIR } = process.env;
  const folder = mkdtempSync(CACHE + '-');
  // It unpacks where temporary files go, and its libraries too where it thinks that it is a Lambda function.
  Object.assign(process.env, { TMPDIR: folder, AWS_LAMBDA_JS_RUNTIME: 'nodejs20.x' });
  try {
    const { default: chromium } = await import('@sparticuz/chromium');
    await chromium.executablePath();
    renameSync(folder, CACHE);
  } catch (error) {
    rmSync(folder, { recursive: true });
    if (!existsSync(binary)) throw error;
  } finally {
    delete process.env.AWS_LAMBDA_JS_RUNTIME;
    delete process.env.LD_LIBRARY_PATH;
    if (TMPDIR) process.env.TMPDIR = TMPDIR;
    else delete process.env.TMPDIR;
  }
  return binary;
}

function installed() {
  const folders = (process.env.PATH || '').split(delimiter);
  return INSTALLED.flatMap((name) => folders.map((folder) => join(folder, name))).filter(existsSync);
}

async function launch() {
  const problems = [];
  const { chromium } = await import('playwright-core').catch((error) => answer({ absent: String(error.message) }));
  const own = await brought().catch((error) => problems.push(String(error.message)) && []);
  const args = ['--no-sandbox', '--headless=shell', '--ignore-certificate-errors', '--disable-gpu', '--disable-dev-shm-usage'];
  // A machine that has a browser's libraries, one that has not, one that has a browser.
  const libraries = { ...process.env, LD_LIBRARY_PATH: join(CACHE, 'al2023', 'lib') };
  const ways = [own].flat().flatMap((executablePath) => [{ executablePath }, { executablePath, env: libraries }]);
  for (const way of [...ways, ...installed().map((executablePath) => ({ executablePath }))]) {
    try {
      return await chromium.launch({ ...way, args, headless: true });
    } catch (error) {
      problems.push(`${way.executablePath}: ${String(error.message).split('\n').slice(0, 8).join(' ')}`);
    }
  }
  return answer({ absent: problems.join('; ') || 'no browser' });
}

// Runs in the page.
function talk({ url, topic, payload, version }) {
  return new Promise((resolve) => {
    const seen = { userAgent: navigator.userAgent, protocol: undefined };
    const client = mqtt.connect(url, { protocolVersion: version, reconnectPeriod: 0, connectTimeout: 15000 });
    client.on('error', (error) => resolve({ ...seen, error: String(error.message) }));
    client.on('close', () => resolve({ ...seen, error: 'the connection ended' }));
    client.on('connect', () => {
      client.subscribe(topic, { qos: 1 }, () => client.publish(topic, payload, { qos: 1 }));
    });
    client.on('message', (from, message, packet) => {
      resolve({ ...seen, topic: from, payload: new TextDecoder().decode(message), qos: packet.qos });
      client.end(true);
    });
  });
}

let input = '';
for await (const piece of process.stdin) input += piece;
const browser = await launch();
const page = await browser.newPage();
await page.goto('about:blank');
await page.addScriptTag({ path: join(dirname(require.resolve('mqtt/package.json')), 'dist', 'mqtt.min.js') });
const seen = await page.evaluate(talk, JSON.parse(input));
await browser.close();
answer(seen);
