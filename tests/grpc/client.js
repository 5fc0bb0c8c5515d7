// The same as client.py on Node, with `@grpc/grpc-js` and its xDS:
//
//     GRPC_XDS_BOOTSTRAP=FILE NODE_PATH=MODULES node client.js TARGET LANE...
'use strict';

const grpc = require('@grpc/grpc-js');
require('@grpc/grpc-js-xds').register();

const PAUSE_MS = 4;
const REPORT_MS = 50;
const PATIENCE_MS = 30_000;

const [target, ...methods] = process.argv.slice(2);
const channel = new grpc.Client(target, grpc.credentials.createInsecure());
const tally = { requests: 0, failed: 0, told: [], byVersion: {}, byInstance: {} };
let stop = false;

const same = (bytes) => bytes;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function take(error, answer) {
  tally.requests += 1;
  if (error) {
    tally.failed += 1;
    if (tally.told.length < 20) tally.told.push(`${Date.now() / 1000} ${error.code}: ${error.details}`);
    return;
  }
  const { version, instance } = JSON.parse(answer.toString());
  tally.byVersion[version] = (tally.byVersion[version] ?? 0) + 1;
  tally.byInstance[instance] = (tally.byInstance[instance] ?? 0) + 1;
}

async function lane(method) {
  while (!stop) {
    await new Promise((done) => {
      const deadline = Date.now() + PATIENCE_MS;
      const path = `/tidegate.test.Who/${method}`;
      channel.makeUnaryRequest(path, same, same, Buffer.alloc(0), { deadline }, (error, answer) => {
        take(error, answer);
        done();
      });
    });
    await pause(PAUSE_MS);
  }
}

const show = (ended) => process.stdout.write(`${JSON.stringify({ ...tally, ended })}\n`);

async function main() {
  process.stdin.resume();
  process.stdin.on('end', () => (stop = true));
  const reports = setInterval(() => show(false), REPORT_MS);
  await Promise.all(methods.map(lane));
  clearInterval(reports);
  show(true);
  process.exit(0);
}

main();
