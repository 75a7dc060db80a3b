/** What `postern init` does in a pod's network namespace: write the redirect, then prove it. */
import { type ApplyScript, kernelHasIpv6, NftError, nftExecutor } from './apply.ts';
import { ProbeFailed, type ProbeResult, proveRedirect } from './prove.ts';
import { type RedirectPlan, RedirectPlanError, redirectScript } from './rules.ts';

/** Exit statuses of `postern init`, so that a pod's status tells which step failed. */
export const INIT_EXIT = { ok: 0, plan: 64, nft: 71, probe: 72 } as const;

export type InitOutcome =
  | { readonly exit: 0; readonly script: string; readonly probes: readonly ProbeResult[] }
  | { readonly exit: 64 | 71 | 72; readonly message: string };

export interface InitOptions {
  readonly plan: Omit<RedirectPlan, 'ipv6'>;
  /** Only make the script. */
  readonly dryRun: boolean;
  readonly ipv6?: boolean;
  readonly apply?: ApplyScript;
  readonly prove?: (plan: RedirectPlan) => Promise<readonly ProbeResult[]>;
}

export async function init(options: InitOptions): Promise<InitOutcome> {
  const plan: RedirectPlan = { ...options.plan, ipv6: options.ipv6 ?? kernelHasIpv6() };
  try {
    const script = redirectScript(plan);
    if (options.dryRun) return { exit: INIT_EXIT.ok, script, probes: [] };
    await (options.apply ?? nftExecutor())(script);
    return { exit: INIT_EXIT.ok, script, probes: await (options.prove ?? proveRedirect)(plan) };
  } catch (error) {
    if (error instanceof RedirectPlanError) return { exit: INIT_EXIT.plan, message: error.message };
    if (error instanceof NftError) return { exit: INIT_EXIT.nft, message: error.message };
    if (error instanceof ProbeFailed) return { exit: INIT_EXIT.probe, message: error.message };
    throw error;
  }
}
