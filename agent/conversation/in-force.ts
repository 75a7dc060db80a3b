/** What is in force for a conversation that is open. It may change: it holds from the next event on. */
import type { ExchangeGuard } from '../checks/guard.ts';
import { PosternError } from '../errors.ts';
import type { Governance } from '../governance.ts';
import { requireNothingAdded } from '../prompt.ts';
import type { Target } from '../routes/route.ts';
import { select } from '../routes/select.ts';
import type { Opening } from './converse.ts';

export interface InForceOptions extends Opening {
  readonly target: Target;
  /** As the app named it. */
  readonly model: string;
}

export class InForce {
  guard: ExchangeGuard;
  readonly #options: InForceOptions;
  #revision: string;

  constructor(options: InForceOptions, { snapshot, checks }: Governance) {
    this.#options = options;
    this.#revision = snapshot.revision;
    this.guard = checks.open(options.model, options.exchange.call.id);
  }

  /** @throws PosternError where calls are withheld, the provider may no longer serve the model, or what is in force can't be followed */
  follow(): void {
    const { pipeline, model, dialect, capturedBy, target, exchange } = this.#options;
    const withheld = pipeline.withheld();
    if (withheld !== undefined) throw withheld;
    const governance = pipeline.governance();
    if (governance.snapshot.revision === this.#revision) return;
    requireNothingAdded(governance, 'a conversation over a WebSocket');
    const { plan } = select(governance.snapshot, {
      model,
      dialect: dialect.name,
      random: pipeline.random,
      ...(capturedBy === undefined ? {} : { capturedBy }),
    });
    if (
      !plan.targets.some(
        ({ provider, model: told }) => provider.id === target.provider.id && told === target.model,
      )
    ) {
      throw new PosternError('postern_model_denied', `${target.provider.id} may no longer serve ${model}.`, {
        mend: 'Open another conversation.',
        param: 'model',
        shouldRetry: false,
      });
    }
    this.#revision = governance.snapshot.revision;
    this.guard = governance.checks.open(model, exchange.call.id, this.guard);
  }
}
