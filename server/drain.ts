/**
 * The orderly end. On SIGTERM no new publisher is taken and readiness turns false; broadcasts may end by themselves for a while, then
 * everything is closed in the order it was registered. SIGINT, or a second signal, does not wait.
 */
import type { Log } from './observability/log.ts';

export type DrainOptions = {
  readonly drainMaxS: number;
  /** Whether anything is still running that is worth waiting for. */
  readonly isBusy: () => boolean;
  readonly log: Log;
};

type Step = { readonly name: string; readonly close: (reason: string) => void | Promise<void> };

const LOOK_EVERY_MS = 100;
/** A part that does not close in this time is left behind. */
const STEP_MAX_MS = 3_000;

export class Drain {
  readonly #steps: Step[] = [];
  #isDraining = false;
  #isClosing = false;

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Parts are closed in the order they were added here. */
  add(name: string, close: Step['close']): void {
    this.#steps.push({ name, close });
  }

  /** Listens for the signals that end a server; resolves once everything is closed. */
  async onSignal(options: DrainOptions): Promise<void> {
    const signal = await new Promise<NodeJS.Signals>((resolve) => {
      for (const name of ['SIGTERM', 'SIGINT'] as const) {
        process.on(name, () => {
          this.#isClosing = this.#isDraining;
          resolve(name);
        });
      }
    });
    this.#isDraining = true;
    options.log.info('server.draining', { signal, drainMaxS: signal === 'SIGTERM' ? options.drainMaxS : 0 });
    if (signal === 'SIGTERM') {
      await this.#waitWhileBusy(options);
    }
    await this.close('server_shutdown', options.log);
  }

  /** Closes every part now. */
  async close(reason: string, log: Log): Promise<void> {
    this.#isDraining = true;
    for (const step of this.#steps.splice(0)) {
      const isLate = await Promise.race([
        Promise.resolve(step.close(reason)).then(() => false),
        elapse(STEP_MAX_MS).then(() => true),
      ]);
      if (isLate) {
        log.warn('server.close.late', { part: step.name });
      }
    }
  }

  async #waitWhileBusy({ drainMaxS, isBusy }: DrainOptions): Promise<void> {
    for (let waitedMs = 0; waitedMs < drainMaxS * 1000 && isBusy() && !this.#isClosing; waitedMs += LOOK_EVERY_MS) {
      await elapse(LOOK_EVERY_MS);
    }
  }
}

const elapse = async (durationMs: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, durationMs).unref();
  });
