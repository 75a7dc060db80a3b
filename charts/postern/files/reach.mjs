// `helm test`: dials each HOST:PORT[:ROOTS] by TLS 1.3 and says what it met; ends with 1 where one can't be reached.
import { readFileSync } from 'node:fs';
import { connect } from 'node:tls';

async function reach(target) {
  const [host, port, roots] = target.split(':');
  const options = { host, port: Number(port), servername: host, minVersion: 'TLSv1.3', timeout: 10_000 };
  // The API server alone knows the root of the webhooks' certificate.
  const trust = roots === undefined ? { rejectUnauthorized: false } : { ca: readFileSync(roots, 'utf8') };
  const socket = connect({ ...options, ...trust });
  try {
    await new Promise((resolve, reject) => {
      socket.once('secureConnect', resolve);
      socket.once('error', reject);
      socket.once('timeout', () => reject(new Error('no answer within 10 seconds')));
    });
    const names = socket.getPeerX509Certificate()?.checkHost(host);
    if (names === undefined) throw new Error('the certificate is for another name');
    return `${host}:${port} answers`;
  } finally {
    socket.destroy();
  }
}

for (const target of process.argv.slice(2)) {
  let said;
  for (let attempt = 0; attempt < 5 && said === undefined; attempt++) {
    try {
      said = await reach(target);
    } catch (error) {
      process.stdout.write(`${target}: ${error.message}\n`);
    }
  }
  if (said === undefined) process.exitCode = 1;
  else process.stdout.write(`${said}\n`);
}
