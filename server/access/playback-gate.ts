/**
 * Stands before what viewers ask for and lets through who carries a playback token, where tokens are required. A token comes as a path segment
 * right after the door (`/hls/~TOKEN/NAME/index.m3u8`), as a bearer, or as `?token=`. The segment is the way for HLS: what a playlist names
 * relatively inherits it in every player, so playlists are the same for all, and a cache takes one segment out of its key.
 */
import type { Clock } from '../base/clock.ts';
import type { HttpAnswer, HttpEndpoint, HttpRequest } from '../base/http-exchange.ts';
import { refuse } from '../base/http-exchange.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { TokenJudgement } from './playback-token.ts';
import { judgeToken } from './playback-token.ts';
import type { TokenKeys } from './token-keys.ts';

export type PlaybackTokenOptions = {
  readonly required: boolean;
  /** Whether every cache in front checks tokens itself: only then may it keep what tokens protect. */
  readonly edgeChecks: boolean;
  readonly skewMaxS: number;
  /** How long a token is good when its maker does not say, and at most. */
  readonly durationS: number;
  readonly durationMaxS: number;
};

export const PLAYBACK_TOKEN_DEFAULTS: PlaybackTokenOptions = {
  required: false,
  edgeChecks: false,
  skewMaxS: 30,
  durationS: 14_400,
  durationMaxS: 2_592_000,
};

/** What the paths below a door are: broadcasts by name, or recordings by id. */
export type PlaybackKind = 'live' | 'replay';

/** `/DOOR/~TOKEN/FIRST/…`, the token optional; FIRST is a name, or an id that `.mp4` may follow. */
const PATH_FORM = /^(\/[^/]+)(?:\/~([^/]*))?\/([^/.]*)(.*)$/s;
/** What follows the name in `/whep/NAME/SESSION/…`. */
const BELOW_SESSION = /^\/[0-9a-f]{32}\//;
const BEARER_FORM = /^Bearer +([\x21-\x7e]{1,1024})$/i;

export class PlaybackGate {
  readonly #options: PlaybackTokenOptions;
  readonly #parts: { readonly keys: TokenKeys; readonly clock: Clock; readonly metrics: Metrics };

  constructor(options: PlaybackTokenOptions, parts: { keys: TokenKeys; clock: Clock; metrics: Metrics }) {
    this.#options = options;
    this.#parts = parts;
  }

  /** Whether the bearer of `token` may watch `audience`; always, where tokens are not required. */
  mayWatch(audience: string, token: string | undefined): boolean {
    return this.#judge(audience, token)?.ok !== false;
  }

  /**
   * `endpoint` behind the gate: it sees paths without the token. Of WHEP only the offer needs one: the address of a session is itself a
   * secret (what is posted below it too), and a viewer may hang up after the token's time.
   */
  guard(kind: PlaybackKind, endpoint: HttpEndpoint): HttpEndpoint {
    return (request) => {
      if (!this.#options.required && request.method !== 'OPTIONS' && !request.path.includes('/~')) {
        return endpoint(request);
      }
      const [, door = '', pathToken, first = '', rest = ''] = PATH_FORM.exec(request.path) ?? [];
      const inner =
        pathToken === undefined ? request : { ...request, signal: request.signal, path: `${door}/${first}${rest}` };
      if (request.method === 'OPTIONS') {
        return changed(endpoint(inner), withHeaderAllowed);
      }
      if (door === '/whep' && (request.method !== 'POST' || BELOW_SESSION.test(rest))) {
        return endpoint(inner);
      }
      const judgement = this.#options.required
        ? this.#judge(`${kind}/${first}`, pathToken ?? tokenOf(request))
        : undefined;
      if (judgement?.ok === false) {
        return refusalOf(judgement);
      }
      const answer = endpoint(inner);
      return this.#options.required && !this.#options.edgeChecks ? changed(answer, keptFromCaches) : answer;
    };
  }

  /** Undefined where nobody needs a token. */
  #judge(audience: string, token: string | undefined): TokenJudgement | undefined {
    if (!this.#options.required) {
      return undefined;
    }
    const { keys, clock, metrics } = this.#parts;
    const judgement = judgeToken(token, {
      audience,
      keyOf: (id) => keys.find(id),
      nowWallMs: clock.wallMs(),
      skewMaxS: this.#options.skewMaxS,
    });
    if (!judgement.ok) {
      metrics
        .counter('playback_refused_total', 'Viewers refused for their token', ['code'])
        .inc({ code: judgement.code });
    }
    return judgement;
  }
}

const tokenOf = (request: HttpRequest): string | undefined =>
  BEARER_FORM.exec(request.headers['authorization']?.trim() ?? '')?.[1] ?? request.query.get('token') ?? undefined;

/** 401 as RFC 6750, 3 has it; readable by pages of other origins, whose players show the reason. */
const refusalOf = ({ code, detail }: { code: string; detail: string }): HttpAnswer =>
  refuse(401, code, detail, {
    'www-authenticate': code === 'TOKEN_MISSING' ? 'Bearer' : 'Bearer error="invalid_token"',
    'access-control-allow-origin': '*',
    'access-control-expose-headers': 'WWW-Authenticate',
  });

/** Answers are shared by all who ask the same, and stay so here: what is made for one is made once. */
const privateAnswers = new WeakMap<HttpAnswer, HttpAnswer>();

const changed = (
  answer: HttpAnswer | Promise<HttpAnswer>,
  change: (answer: HttpAnswer) => HttpAnswer,
): HttpAnswer | Promise<HttpAnswer> => (answer instanceof Promise ? answer.then(change) : change(answer));

/** The viewer's own cache may keep it; one that others use may not, since it would hand it to who has no token. */
const keptFromCaches = (answer: HttpAnswer): HttpAnswer => {
  const said = answer.headers['cache-control'];
  if (said === undefined || !said.includes('public')) {
    return answer;
  }
  const known = privateAnswers.get(answer);
  if (known !== undefined) {
    return known;
  }
  const cacheControl = said.replace('public', 'private').replace(/, *s-maxage=\d+/, '');
  const kept = { ...answer, headers: { ...answer.headers, 'cache-control': cacheControl } };
  privateAnswers.set(answer, kept);
  return kept;
};

/** A page of another origin may send its token as a header only if the preflight says so. */
const withHeaderAllowed = (answer: HttpAnswer): HttpAnswer => {
  const allowed = answer.headers['access-control-allow-headers'];
  const isThere = allowed?.toLowerCase().includes('authorization') ?? false;
  const headers = isThere
    ? {}
    : { 'access-control-allow-headers': [allowed, 'authorization'].filter(Boolean).join(', ') };
  return { ...answer, headers: { ...answer.headers, ...headers } };
};
