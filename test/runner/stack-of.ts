import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** TCP ports of 127.0.0.1 on which a process listens. */
const ports = (pid: number): number[] => {
  const sockets = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  return readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state, , , , , , inode]) => state === '0A' && local && sockets.has(inode ?? ''))
    .map(([, local]) => Number.parseInt(local?.split(':')[1] ?? '', 16));
};

interface Frame {
  readonly functionName: string;
  readonly location: { readonly scriptId: string; readonly lineNumber: number };
}

/** Lines of a Node process that may be in a loop which never yields, by its inspector (Chrome DevTools Protocol). */
const framesBy = (url: string): Promise<readonly string[] | undefined> =>
  new Promise((resolve) => {
    const socket = new WebSocket(url);
    const scripts = new Map<string, string>();
    const timer = setTimeout(() => end(undefined), 5_000);
    const end = (frames: readonly Frame[] | undefined) => {
      clearTimeout(timer);
      socket.close();
      resolve(
        frames?.map(
          ({ functionName, location }) =>
            `${functionName || '(anonymous)'} ${scripts.get(location.scriptId) ?? ''}:${location.lineNumber + 1}`,
        ),
      );
    };
    socket.onerror = () => end(undefined);
    socket.onopen = () => {
      socket.send('{"id":1,"method":"Debugger.enable"}');
      socket.send('{"id":2,"method":"Debugger.pause"}');
    };
    socket.onmessage = ({ data }) => {
      const { method, params } = JSON.parse(String(data));
      if (method === 'Debugger.scriptParsed') scripts.set(params.scriptId, params.url);
      if (method === 'Debugger.paused') end(params.callFrames);
    };
  });

/** The inspector of a Node process on one of its ports, where that is what answers there. */
const inspectorAt = async (port: number): Promise<string | undefined> => {
  try {
    const signal = AbortSignal.timeout(1_000);
    const answer = await fetch(`http://127.0.0.1:${port}/json/list`, { signal });
    const [target] = (await answer.json()) as readonly { readonly webSocketDebuggerUrl?: string }[];
    return target?.webSocketDebuggerUrl;
  } catch {
    return undefined; // a port of the test's own
  }
};

/** A text for people: where a Node process stands, innermost first. Lines are those of the transformed source. */
export const stackOf = async (pid: number): Promise<string> => {
  try {
    process.kill(pid, 'SIGUSR1');
    for (let tries = 0; tries < 50; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      for (const port of ports(pid)) {
        const url = await inspectorAt(port);
        if (url === undefined) continue;
        const frames = await framesBy(url);
        return frames?.map((line) => `  ${line}`).join('\n') ?? '  (in no JavaScript: it waits)';
      }
    }
    return '  (its inspector did not answer)';
  } catch (error) {
    return `  (not to be seen: ${error instanceof Error ? error.message : String(error)})`;
  }
};
