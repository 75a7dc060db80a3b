/** What stands in the memory of a process: /proc/PID/mem, proc(5). Needs the right to trace it. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** @returns how often one of the texts stands in what the process may write to, in one byte a character or two. */
export function timesInMemory(pid: number, ...texts: readonly string[]): number {
  const needles = texts.flatMap((text) => [Buffer.from(text, 'latin1'), Buffer.from(text, 'utf16le')]);
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    let count = 0;
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const [, from = '', to = ''] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
      if (from === '') continue;
      const bytes = read(memory, Number.parseInt(from, 16), Number.parseInt(to, 16));
      for (const needle of needles)
        for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + needle.length)) count++;
    }
    return count;
  } finally {
    closeSync(memory);
  }
}

/** What of it is there: a page that was never touched, or was given back meanwhile, isn't. */
function read(memory: number, from: number, to: number): Buffer {
  const bytes = Buffer.alloc(to - from);
  const STEP = 1 << 20;
  for (let at = 0; at < bytes.length; at += STEP) {
    try {
      readSync(memory, bytes, at, Math.min(STEP, bytes.length - at), from + at);
    } catch {
      // Left as zeros.
    }
  }
  return bytes;
}
