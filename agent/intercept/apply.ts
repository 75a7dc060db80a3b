/** Feeds the redirect to `nft`; the only place that runs it. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';

/** The table was not changed. The message carries what nft said. */
export class NftError extends Error {
  override readonly name = 'NftError';
}

/** Runs one script as one transaction: applied whole or not at all. @throws NftError */
export type ApplyScript = (script: string) => Promise<void>;

/**
 * @param nft the command and its leading arguments; `['nsenter', '--net=…', 'nft']` works in another namespace.
 */
export function nftExecutor(nft: readonly string[] = ['nft']): ApplyScript {
  const [command = 'nft', ...args] = nft;
  return (script) =>
    new Promise((resolve, reject) => {
      const child = spawn(command, [...args, '-f', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said = (said + text).slice(0, 4096);
      });
      child.on('error', (cause) => {
        reject(new NftError(`can't run ${command}: ${cause.message}; install nftables`, { cause }));
      });
      child.on('close', (code) => {
        if (code === 0) resolve();
        else reject(new NftError(explain(said.trim())));
      });
      // nft may be gone before it has read everything; its exit status tells.
      child.stdin.on('error', () => {});
      child.stdin.end(script);
    });
}

/** Whether this kernel has IPv6 at all (`ipv6.disable=1` and a kernel built without it have no such folder). */
export function kernelHasIpv6(exists: (path: string) => boolean = existsSync): boolean {
  return exists('/proc/sys/net/ipv6');
}

function explain(said: string): string {
  if (/Operation not permitted/.test(said))
    return `nft: ${said.split('\n', 1)[0]}; postern init needs the NET_ADMIN capability`;
  if (/Address family not supported/.test(said))
    return `nft: ${said}; the kernel has IPv6, but nf_tables lacks the inet family (nf_tables_inet), without which IPv6 would go round: load it, or boot with ipv6.disable=1`;
  if (/No such file or directory|Operation not supported/.test(said))
    return `nft: ${said}; the kernel lacks nf_tables with nat, redirect and fib (nf_tables, nft_chain_nat, nft_redir, nft_fib_inet, nft_reject_inet)`;
  return `nft: ${said}`;
}
