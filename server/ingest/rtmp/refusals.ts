/**
 * Why publishers were turned away of late, by name: an encoder shows its streamer at most that it failed, so the reason stays where the doctor's
 * findings are read. Pure, told the time.
 */
import type { DoctorFinding } from '../finding.ts';

/** As long as an encoder that tries again and again, or a streamer who wonders, may take to look. */
const SHOWN_MS = 60_000;
/** The oldest go. */
const NAME_MAX_COUNT = 256;

export class Refusals {
  readonly #byName = new Map<string, { readonly finding: DoctorFinding; readonly atMs: number }>();

  /** Somebody who published `name` was hung up on. */
  note(name: string, refusal: { readonly code: string; readonly detail: string }, nowMs: number): void {
    this.#byName.delete(name);
    this.#byName.set(name, { finding: findingOf(refusal), atMs: nowMs });
    const [oldest] = this.#byName.keys();
    if (this.#byName.size > NAME_MAX_COUNT && oldest !== undefined) {
      this.#byName.delete(oldest);
    }
  }

  of(name: string, nowMs: number): readonly DoctorFinding[] {
    const known = this.#byName.get(name);
    return known !== undefined && nowMs - known.atMs <= SHOWN_MS ? [known.finding] : [];
  }
}

const findingOf = ({ code, detail }: { readonly code: string; readonly detail: string }): DoctorFinding => ({
  code: 'PUBLISHER_REFUSED',
  severity: 'problem',
  costMs: null,
  advice: `The server ended the last connection: ${detail} (${code}). Restart the stream; if that does not help, set the encoder back to its defaults or choose another one.`,
});
