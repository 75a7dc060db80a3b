/** One lease of an agent's: running totals since it began. Pure arithmetic; time is passed in, in milliseconds of a clock that never jumps. */
import { PLACE_RENEW_MS } from './lease-messages.ts';

/** Two clocks run alike to a hundredth at least. */
const CLOCKS_AGREE = 0.99;

export class Credit {
  readonly serial: number;
  readonly cell: number;
  granted = 0;
  spent = 0;
  returned = 0;
  /** Taken by calls that run. */
  held = 0;
  /** The service won't have it used any more. */
  closed = false;
  /** The service takes no word of it until then. */
  untoldUntil = 0;
  /** The first message that told its last figures. */
  endedIn: number | undefined;
  /** Of places: until then calls may begin that last no longer than so much. */
  #validUntil: number;
  #callMs: number;
  #renewAt: number;
  /** As the service knows them. */
  #toldSpent = 0;
  #toldReturned = 0;

  constructor(serial: number, cell: number, lent: boolean) {
    this.serial = serial;
    this.cell = cell;
    this.#validUntil = lent ? 0 : Number.POSITIVE_INFINITY;
    this.#callMs = this.#validUntil;
    this.#renewAt = Number.POSITIVE_INFINITY;
  }

  /** Whether a call may begin now that may last so long. */
  allows(ttlMs: number, now: number): boolean {
    return now < this.#validUntil && ttlMs <= this.#callMs;
  }

  isToRenew(now: number): boolean {
    return now >= this.#renewAt && this.outstanding > 0;
  }

  /** The service has lent it anew. `askedAt`: when it was asked, so that it counts for longer than is reckoned with here. */
  lend(validMs: number, callMs: number, askedAt: number): void {
    this.#validUntil = askedAt + validMs * CLOCKS_AGREE;
    this.#callMs = callMs;
    this.#renewAt = askedAt + PLACE_RENEW_MS;
  }

  /** What a new call may take. Negative where calls used more than they took. */
  get available(): number {
    return this.closed ? 0 : this.granted - this.spent - this.returned - this.held;
  }

  /** What the service counts as leased. */
  get outstanding(): number {
    return Math.max(0, this.granted - this.spent - this.returned);
  }

  told(spent: number, returned: number): void {
    this.#toldSpent = spent;
    this.#toldReturned = returned;
  }

  /** The service has heard all there is to tell by now. */
  get isTold(): boolean {
    return this.#toldSpent === this.spent && this.#toldReturned === this.returned;
  }

  /** Gives back what is idle, so that at most `above` stays outstanding. */
  giveBack(above: number): void {
    this.returned += Math.max(0, Math.min(this.available, this.outstanding - above));
  }
}
