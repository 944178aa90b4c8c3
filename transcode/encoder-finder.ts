/** Which encoder makes the H.264 rungs: the configured one, or the first hardware one whose test encode succeeds; else software, and why. */
import { messageOf } from '../server/base/errors.ts';
import type { Log } from '../server/observability/log.ts';
import type { HardwareEncoder, LadderEncoder } from './hardware-args.ts';

export type EncoderWish = 'auto' | LadderEncoder;

/** Undefined: it works; else why not. May hang. */
export type TryEncoder = (encoder: HardwareEncoder) => Promise<string | undefined>;

export type EncoderStatus = {
  readonly name: LadderEncoder;
  /** A sentence for the operator. */
  readonly why: string;
};

/** A driver that takes longer to make a dozen small pictures is none to rely on. */
const TRY_MAX_MS = 15_000;
/** One encoder that works does not fail so often; a session too many, or a driver that hangs, does. */
const FAILURE_MAX_COUNT = 3;
const FAILURE_WINDOW_MS = 60_000;

export class EncoderFinder {
  readonly #wish: EncoderWish;
  readonly #tryEncoder: TryEncoder;
  readonly #tryMaxMs: number;
  readonly #platform: NodeJS.Platform;
  readonly #log: Log;
  #status: EncoderStatus;
  #failuresAtMs: number[] = [];

  constructor(options: {
    wish: EncoderWish;
    tryEncoder: TryEncoder;
    platform: NodeJS.Platform;
    log: Log;
    tryMaxMs?: number;
  }) {
    this.#wish = options.wish;
    this.#tryEncoder = options.tryEncoder;
    this.#platform = options.platform;
    this.#tryMaxMs = options.tryMaxMs ?? TRY_MAX_MS;
    this.#log = options.log;
    const why = options.wish === 'software' ? 'it is configured' : 'hardware encoders are being looked for';
    this.#status = { name: 'software', why };
  }

  get status(): EncoderStatus {
    return this.#status;
  }

  /** Tries one after the other. Never rejects. */
  async find(): Promise<void> {
    if (this.#wish === 'software') {
      return;
    }
    const faults: string[] = [];
    for (const encoder of candidatesFor(this.#wish, this.#platform)) {
      const fault = await this.#tryOne(encoder);
      if (fault === undefined) {
        this.#settle({ name: encoder, why: 'a test encode succeeded' });
        return;
      }
      faults.push(`${encoder}: ${fault}`);
    }
    this.#settle({ name: 'software', why: `no hardware encoder works here (${faults.join('; ')})` });
  }

  /** A child that used the encoder in force ended by itself. */
  noteFailure(nowMs: number): void {
    const { name } = this.#status;
    if (name === 'software') {
      return;
    }
    this.#failuresAtMs = [...this.#failuresAtMs.filter((atMs) => nowMs - atMs < FAILURE_WINDOW_MS), nowMs];
    if (this.#failuresAtMs.length >= FAILURE_MAX_COUNT) {
      this.#settle({ name: 'software', why: `${name} failed ${FAILURE_MAX_COUNT} times within a minute` });
    }
  }

  #settle(status: EncoderStatus): void {
    this.#status = status;
    const isDisappointing = status.name === 'software' && this.#wish !== 'auto';
    this.#log[isDisappointing ? 'warn' : 'info']('transcode.encoder.chosen', { wish: this.#wish, ...status });
  }

  async #tryOne(encoder: HardwareEncoder): Promise<string | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`made nothing within ${this.#tryMaxMs} ms`), this.#tryMaxMs);
    });
    try {
      return await Promise.race([this.#tryEncoder(encoder), tooLong]);
    } catch (error) {
      return messageOf(error);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The cheapest for the processor first. */
const candidatesFor = (wish: EncoderWish, platform: NodeJS.Platform): readonly HardwareEncoder[] => {
  if (wish !== 'auto') {
    return wish === 'software' ? [] : [wish];
  }
  return platform === 'darwin' ? ['videotoolbox'] : platform === 'win32' ? ['nvenc', 'qsv'] : ['nvenc', 'qsv', 'vaapi'];
};
