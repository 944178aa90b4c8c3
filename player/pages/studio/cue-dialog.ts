/** The form in which a cue is prepared or edited. */
import type { HostedCue } from '../../../server/api/contract/cues-host.ts';
import { byId, make, setText } from '../elements.ts';
import type { CueField, CueProblems, CueValues, CueWords } from './cue-form.ts';
import { DURATIONS_MS, EMPTY_VALUES, KINDS, readCue, valuesOf } from './cue-form.ts';
import type { StudioTexts } from './texts.ts';
import { fill } from './texts.ts';

export type CueDialogOptions = {
  readonly texts: StudioTexts;
  /** Else there is nothing to be entered about a stock, and the form says what it would take. */
  readonly mayHaveDrops: boolean;
  /** `cue`: the one that is edited. Resolves to why it was not saved; empty when it was. */
  readonly onSave: (words: CueWords, cue: HostedCue | null) => Promise<string>;
};

const FIELDS = Object.keys(EMPTY_VALUES) as CueField[];

export class CueDialog {
  readonly #options: CueDialogOptions;
  readonly #dialog = byId('cue-dialog') as HTMLDialogElement;
  readonly #form = byId('cue-form') as HTMLFormElement;
  #cue: HostedCue | null = null;
  #isSaving = false;

  constructor(options: CueDialogOptions) {
    this.#options = options;
    this.#form.onsubmit = (event): void => {
      event.preventDefault();
      void this.#submit();
    };
    byId('cue-stock-field').hidden = !options.mayHaveDrops;
    byId('cue-stock-why').hidden = options.mayHaveDrops;
    this.#input('mode').onchange = (): void => this.#explainMode();
    byId('cue-cancel').onclick = (): void => this.#dialog.close();
  }

  get isOpen(): boolean {
    return this.#dialog.open;
  }

  open(cue: HostedCue | null = null): void {
    const { texts } = this.#options;
    this.#cue = cue;
    const values = cue === null ? EMPTY_VALUES : valuesOf(cue);
    this.#offer('kind', withOwn(KINDS, values.kind), (kind) => this.#kindWords(kind));
    this.#offer('duration', withOwn(DURATIONS_MS, values.duration), (duration) => this.#durationWords(duration));
    this.#write(values);
    this.#complain({});
    setText(byId('cue-form-trouble'), '');
    this.#explainMode();
    setText(byId('cue-dialog-title'), cue === null ? texts.cueNew : texts.cueEdit);
    this.#dialog.showModal();
    this.#input('title').focus();
  }

  async #submit(): Promise<void> {
    const reading = readCue(this.#read(), this.#cue ?? undefined);
    this.#complain(reading.ok ? {} : reading.problems);
    // A second touch while the first is under way would make a second cue.
    if (!reading.ok || this.#isSaving) {
      return;
    }
    this.#isSaving = true;
    const why = await this.#options.onSave(reading.words, this.#cue);
    setText(byId('cue-form-trouble'), why);
    if (why === '') {
      this.#dialog.close();
    }
    this.#isSaving = false;
  }

  #input(field: CueField): HTMLInputElement | HTMLSelectElement {
    return byId(`cue-${field}`) as HTMLInputElement | HTMLSelectElement;
  }

  #read(): CueValues {
    return Object.fromEntries(FIELDS.map((field) => [field, this.#input(field).value])) as CueValues;
  }

  #write(values: CueValues): void {
    for (const field of FIELDS) {
      this.#input(field).value = values[field];
    }
  }

  #explainMode(): void {
    const { texts } = this.#options;
    setText(byId('cue-mode-why'), this.#input('mode').value === 'clock' ? texts.modeClockWhy : texts.modeMediaWhy);
  }

  /** Each beside its field; the first one gets the focus. */
  #complain(problems: CueProblems): void {
    const { texts } = this.#options;
    for (const field of FIELDS) {
      const problem = problems[field];
      const input = this.#input(field);
      input.setAttribute('aria-invalid', String(problem !== undefined));
      const place = input.parentElement?.querySelector<HTMLElement>('.trouble');
      if (place !== null && place !== undefined) {
        setText(place, problem === undefined ? '' : texts[problem]);
      }
    }
    const first = FIELDS.find((field) => problems[field] !== undefined);
    if (first !== undefined) {
      this.#input(first).focus();
    }
  }

  #offer(field: CueField, values: readonly string[], words: (value: string) => string): void {
    const options = values.map((value) => {
      const option = make('option', '', words(value)) as HTMLOptionElement;
      option.value = value;
      return option;
    });
    this.#input(field).replaceChildren(...options);
  }

  #kindWords(kind: string): string {
    const { texts } = this.#options;
    const known: Readonly<Record<string, string>> = { product: texts.kindProduct, message: texts.kindMessage };
    return known[kind] ?? kind;
  }

  #durationWords(duration: string): string {
    const { texts } = this.#options;
    const seconds = Number(duration) / 1_000;
    if (duration === '') {
      return texts.durationOpen;
    }
    return seconds >= 60 && seconds % 60 === 0
      ? fill(texts.durationMinutes, { count: seconds / 60 })
      : fill(texts.durationSeconds, { count: seconds });
  }
}

/** A value that came from elsewhere is offered beside ours, else saving would change it. */
const withOwn = (values: readonly string[], own: string): readonly string[] =>
  values.includes(own) ? values : [own, ...values];
