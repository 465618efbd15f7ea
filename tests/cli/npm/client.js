// Drives a machine with the npm package qemu-qmp, which was written against QEMU: client.js SOCKET
// Prints what it saw, one line each; any error ends it with 1.
'use strict';
const QMP = require('qemu-qmp');

const qmp = new QMP();
const ask = (command, args) => new Promise((resolve, reject) => {
  const done = (err, ret) => (err ? reject(err) : resolve(ret));
  args ? qmp.execute(command, args, done) : qmp.execute(command, done);
});
const event = (name) => new Promise((resolve) => qmp.once(name, () => resolve(name)));
const fail = (err) => { console.log(`failed: ${err.message}`); process.exit(1); };

qmp.connect(process.argv[2], async (err) => {
  if (err) fail(err);
  try {
    console.log(`version ${qmp.version.qemu.major}.${qmp.version.qemu.minor}, ${qmp.version.package}`);
    console.log(`status ${(await ask('query-status')).status}`);
    let heard = event('stop');
    await ask('stop');
    console.log(`event ${await heard}, status ${(await ask('query-status')).status}`);
    heard = event('resume');
    await ask('cont');
    console.log(`event ${await heard}, status ${(await ask('query-status')).status}`);
    heard = event('reset');
    await ask('system_reset');
    console.log(`event ${await heard}`);
    console.log(`commands ${(await ask('query-commands')).some((c) => c.name === 'query-blockstats')}`);
    console.log(`refused ${await ask('device_levitate', {id: 'x'}).catch((e) => e.message)}`);
    heard = event('shutdown');
    await ask('quit');
    console.log(`event ${await heard}`);
  } catch (e) {
    fail(e);
  }
});
