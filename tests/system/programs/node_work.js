// SPDX-License-Identifier: Apache-2.0
// Work for an allocator in node: buffers outside the JavaScript heap, worker threads with messages that are copied or
// handed over, JSON, zlib and crypto in the thread pool, and a child process. Prints digests, the same in each run.
'use strict';
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { execFileSync } = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const { promisify } = require('util');
const zlib = require('zlib');

function generator(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
}

const digest = (data) => crypto.createHash('sha256').update(data).digest('hex');

function churnBuffers(seed, steps) {
  const random = generator(seed);
  const kept = new Array(500).fill(null);
  for (let i = 0; i < steps; i++) {
    const size = random(10) === 0 ? random(300000) : random(9000);
    kept[random(kept.length)] = Buffer.alloc(size, i & 255);
  }
  return digest(Buffer.concat(kept.filter((b) => b)));
}

if (!isMainThread) {
  parentPort.on('message', (buffer) => {
    const copy = Buffer.from(buffer);
    const packed = zlib.deflateSync(copy);
    parentPort.postMessage(`worker ${workerData}: ${copy.length} ${digest(zlib.inflateSync(packed))} ${churnBuffers(workerData, 1500)}`);
    parentPort.close();
  });
} else {
  main();
}

async function main() {
  console.log('buffers', churnBuffers(1, 6000));

  const random = generator(2);
  const objects = [];
  for (let i = 0; i < 40000; i++) objects.push({ id: i, name: 'n'.repeat(random(30)), list: [random(9), random(99), null, true] });
  const text = JSON.stringify(objects);
  console.log('json', text.length, digest(JSON.stringify(JSON.parse(text).reverse())));

  const workers = [1, 2, 3, 4, 5, 6].map((n) => new Promise((resolve, reject) => {
    const worker = new Worker(__filename, { workerData: n });
    let answer;
    worker.on('message', (message) => { answer = message; });
    worker.on('error', reject);
    worker.on('exit', (code) => resolve(`${answer}, exit ${code}`));
    const data = new Uint8Array(400000 * n).fill(n);
    worker.postMessage(data, [data.buffer]);
  }));
  for (const line of await Promise.all(workers)) console.log(line);

  const source = Buffer.from(text);
  const packed = await Promise.all([1, 5, 9].map((level) => promisify(zlib.gzip)(source, { level })));
  const unpacked = await Promise.all(packed.map((p) => promisify(zlib.gunzip)(p)));
  console.log('gzip', unpacked.map((u) => u.equals(source)), packed.map((p) => p.length));
  console.log('brotli', digest(zlib.brotliCompressSync(source.subarray(0, 300000), { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } })));

  const keys = await Promise.all([1, 2, 3, 4].map((n) => promisify(crypto.scrypt)('password', 'salt' + n, 64, { N: 4096 })));
  console.log('scrypt', keys.map((k) => k.toString('hex', 0, 8)));
  const cipher = crypto.createCipheriv('aes-256-ctr', Buffer.alloc(32, 7), Buffer.alloc(16, 9));
  console.log('cipher', digest(Buffer.concat([cipher.update(source), cipher.final()])));

  const file = path.join(process.cwd(), 'data.json');
  fs.writeFileSync(file, text);
  console.log('file', digest(await fs.promises.readFile(file)));
  console.log('child', execFileSync(process.execPath, ['-p', 'Buffer.alloc(1e6, 1).reduce((a, b) => a + b)']).toString().trim());
  const words = new Map();
  for (const match of text.matchAll(/"(n+)"/g)) words.set(match[1], (words.get(match[1]) || 0) + 1);
  console.log('map', words.size, digest([...words].sort().join()));
  console.error('done');
}
