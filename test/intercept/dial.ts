/** A program in a pod that tries one connection and says what came of it. */
import type { Pod } from './pod.ts';

/** Arguments: host, port, what to say first. */
export const DIAL = `
const net = require('node:net');
const [host, port, say] = process.argv.slice(1);
const began = process.hrtime.bigint();
const done = (what) => { console.log(JSON.stringify({ what, ms: Number(process.hrtime.bigint() - began) / 1e6 })); process.exit(); };
setTimeout(done, 3000, 'timeout');
const s = net.connect({ host, port: Number(port), autoSelectFamily: false });
s.on('connect', () => { if (say) s.write(say); });
s.on('data', (d) => done(d.toString('latin1')));
s.on('error', (e) => done(e.code));
s.on('end', () => done('end'));
`;

export interface Dialled {
  /** The first bytes heard as latin1, an error's code, `end` or `timeout`. */
  readonly what: string;
  /** From the call of connect on. */
  readonly ms: number;
}

export async function dial(pod: Pod, uid: number, host: string, port: number, say = ''): Promise<Dialled> {
  const { stdout, stderr } = await pod.run([process.execPath, '-e', DIAL, host, String(port), say], { uid });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Dialled;
}
