/** The host's page and the server: the key, kept for as long as the tab is open, and what is asked with it. */

/** The dashboard's; it opens every studio too. */
const ADMIN_PLACE = 'sluice-admin-key';
const ANSWER_MAX_MS = 5_000;

/** The key is not the right one, or there is none. */
export class Refused extends Error {}

/** The server refused what was asked, and said why. */
export class Declined extends Error {
  readonly code: string;

  constructor(code: string, detail: string) {
    super(detail);
    this.code = code;
  }
}

export class StudioApi {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  get key(): string | null {
    return sessionStorage.getItem(placeOf(this.name)) ?? sessionStorage.getItem(ADMIN_PLACE);
  }

  keep(key: string): void {
    sessionStorage.setItem(placeOf(this.name), key);
  }

  /** The dashboard's key goes too where it was the one in use. */
  forget(): void {
    const place = placeOf(this.name);
    sessionStorage.removeItem(sessionStorage.getItem(place) === null ? ADMIN_PLACE : place);
  }

  /** Throws `Refused` for the key, `Declined` for all else the server does not do. */
  async ask<Answer>(
    path: string,
    options: { readonly method?: string; readonly body?: unknown } = {},
  ): Promise<Answer> {
    const { key } = this;
    if (key === null) {
      throw new Refused();
    }
    const { method = 'GET', body } = options;
    const headers = { authorization: `Bearer ${key}`, ...(body === undefined ? {} : JSON_HEADER) };
    const answer = await fetch(path, {
      ...{ method, headers, cache: 'no-store', signal: AbortSignal.timeout(ANSWER_MAX_MS) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (answer.status === 401) {
      throw new Refused();
    }
    const said = answer.status === 204 ? null : ((await answer.json()) as unknown);
    if (!answer.ok) {
      const { error, detail } = said as { error?: string; detail?: string };
      throw new Declined(error ?? String(answer.status), detail ?? '');
    }
    return said as Answer;
  }
}

const JSON_HEADER = { 'content-type': 'application/json' };
const placeOf = (name: string): string => `sluice-studio-key/${name}`;

/** For a page that is about to be opened. */
export const keepKeyFor = (name: string, key: string): void => sessionStorage.setItem(placeOf(name), key);
