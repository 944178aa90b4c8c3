// Playback tokens: genuine ones open what they name until they expire; forged, foreign, expired and malformed ones are refused, never with a fault of ours.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { PlaybackKind } from '../../../server/access/playback-gate.ts';
import { PLAYBACK_TOKEN_DEFAULTS, PlaybackGate } from '../../../server/access/playback-gate.ts';
import type { TokenKey } from '../../../server/access/playback-token.ts';
import { isAudience, judgeToken, signToken } from '../../../server/access/playback-token.ts';
import { TokenIssuer } from '../../../server/access/token-issuer.ts';
import { TokenKeys } from '../../../server/access/token-keys.ts';
import { ManualClock } from '../../../server/base/clock.ts';
import { Prng } from '../../../server/base/prng.ts';
import type { HttpAnswer, HttpRequest } from '../../../server/base/http-exchange.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { Metrics } from '../../../server/observability/metrics.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const NOW_S = 1_800_000_000;
const KEY: TokenKey = { id: 'k1', secret: Buffer.alloc(32, 7) };
const OTHER: TokenKey = { id: 'k2', secret: Buffer.alloc(32, 8) };

const verdictOf = (
  token: string | undefined,
  change: { audience?: string; nowS?: number; keys?: readonly TokenKey[] } = {},
): string => {
  const judgement = judgeToken(token, {
    audience: change.audience ?? 'live/main',
    keyOf: (id) => (change.keys ?? [KEY]).find((key) => key.id === id),
    nowWallMs: (change.nowS ?? NOW_S) * 1000,
    skewMaxS: 30,
  });
  return judgement.ok ? 'ok' : judgement.code;
};

const tokenFor = (
  audience: string,
  change: { expiresAtWallS?: number; subject?: string; key?: TokenKey } = {},
): string =>
  signToken(
    { audience, expiresAtWallS: change.expiresAtWallS ?? NOW_S + 60, subject: change.subject ?? '' },
    change.key ?? KEY,
  );

test('a token opens what it names, and nothing else', () => {
  assert.equal(verdictOf(tokenFor('live/main')), 'ok');
  assert.equal(verdictOf(tokenFor('live/main', { subject: 'Zoë <z@x.example>' })), 'ok');
  for (const audience of ['live/other', 'live/main2', 'live/mai', 'replay/main', 'live/m']) {
    assert.equal(verdictOf(tokenFor(audience)), 'TOKEN_AUDIENCE_WRONG', audience);
  }
});

test('a star opens all that begins so', () => {
  for (const audience of ['live/*', 'live/ma*', 'live/main*', '*']) {
    assert.equal(verdictOf(tokenFor(audience)), 'ok', audience);
  }
  assert.equal(verdictOf(tokenFor('replay/*')), 'TOKEN_AUDIENCE_WRONG');
  assert.equal(verdictOf(tokenFor('live/shop-*'), { audience: 'live/shop-1' }), 'ok');
});

test('a token is good until its end, and the time that clocks may differ', () => {
  const token = tokenFor('live/main', { expiresAtWallS: NOW_S });
  assert.equal(verdictOf(token, { nowS: NOW_S + 30 }), 'ok');
  assert.equal(verdictOf(token, { nowS: NOW_S + 30.001 }), 'TOKEN_EXPIRED');
});

test('keys are told apart by id: a foreign key forges nothing, a removed one opens nothing, two are believed in a rotation', () => {
  const old = tokenFor('live/main');
  const fresh = tokenFor('live/main', { key: OTHER });
  assert.deepEqual([verdictOf(old, { keys: [KEY, OTHER] }), verdictOf(fresh, { keys: [KEY, OTHER] })], ['ok', 'ok']);
  assert.equal(verdictOf(old, { keys: [OTHER] }), 'TOKEN_INVALID');
  assert.equal(verdictOf(tokenFor('live/main', { key: { ...OTHER, id: KEY.id } })), 'TOKEN_INVALID');
  assert.equal(verdictOf(old.replace('.k1.', '.k2.'), { keys: [KEY, { ...KEY, id: 'k2' }] }), 'TOKEN_INVALID');
});

test('no changed character of a token goes unnoticed', () => {
  const token = tokenFor('live/main', { subject: 'anna' });
  for (let index = 0; index < token.length; index += 1) {
    const changed = `${token.slice(0, index)}${token[index] === 'A' ? 'B' : 'A'}${token.slice(index + 1)}`;
    assert.equal(verdictOf(changed), 'TOKEN_INVALID', `character ${index}`);
  }
});

test('what is no token is refused like a forged one, whatever it is', () => {
  const prng = new Prng(4);
  const token = tokenFor('live/main');
  const odd = [
    'v1',
    'v1.....',
    'null',
    '.'.repeat(5_000),
    'v1.__proto__.1.a..'.padEnd(61, 'A'),
    `${token}\n`,
    ` ${token}`,
    `${token}.`,
    token.slice(0, -1),
    `${token}A`,
    token.replace('v1', 'v2'),
    token.replace(/\.\d+\./, '.99999999999999999999.'),
    token.replace(/\.\d+\./, '.-1.'),
    token.replace(/\.\d+\./, '.1e9.'),
    '\u0000',
    '%00',
  ];
  const mixed = Array.from({ length: 500 }, () =>
    token
      .split('')
      .map((character) =>
        prng.nextRatio() < 0.1 ? String.fromCodePoint(Math.floor(prng.nextRatio() * 300)) : character,
      )
      .join(''),
  );
  for (const text of [...odd, ...mixed.filter((changed) => changed !== token)]) {
    assert.equal(verdictOf(text), 'TOKEN_INVALID', JSON.stringify(text.slice(0, 80)));
  }
  assert.equal(verdictOf(undefined), 'TOKEN_MISSING');
  assert.equal(verdictOf(''), 'TOKEN_MISSING');
});

test('claims that no token can carry are the caller’s mistake', () => {
  for (const audience of ['', 'live', 'live/', 'live/a/b', 'vod/x', '**', 'live/*x', 'live/ä', '/etc*']) {
    assert.equal(isAudience(audience), false, audience);
    assert.throws(() => tokenFor(audience), TypeError);
  }
  assert.throws(() => tokenFor('live/main', { expiresAtWallS: 1.5 }), TypeError);
  assert.throws(() => tokenFor('live/main', { expiresAtWallS: -1 }), TypeError);
  assert.throws(() => tokenFor('live/main', { subject: 'x'.repeat(193) }), TypeError);
});

const lacksTools = (): string | false => {
  try {
    execFileSync('bash', ['-c', 'openssl version && awk 1 /dev/null && od /dev/null'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'bash, openssl, awk or od is missing';
  }
};

test('the page’s own script, as an edge would run it, judges as we do', { skip: lacksTools() }, () => {
  const page = readFileSync(join(import.meta.dirname, '../../../server/access/README.md'), 'utf8');
  const script = /```sh\n([^]*?)```/.exec(page)?.[1] ?? '';
  inFolder((folder) => {
    mkdirSync(join(folder, 'keys'));
    writeFileSync(join(folder, 'keys/k1'), KEY.secret.toString('base64url'));
    const mayWatch = (token: string, asked: string): boolean => {
      const { status } = spawnSync('bash', ['-c', script, 'may-watch', token, asked], { cwd: folder });
      return status === 0;
    };
    const soonS = Math.ceil(Date.now() / 1000) + 600;
    const token = tokenFor('live/main', { expiresAtWallS: soonS, subject: 'anna' });
    assert.equal(mayWatch(token, 'live/main'), true);
    assert.equal(mayWatch(token, 'live/other'), false);
    assert.equal(mayWatch(tokenFor('live/*', { expiresAtWallS: soonS }), 'live/main'), true);
    assert.equal(mayWatch(tokenFor('live/*', { expiresAtWallS: soonS }), 'replay/main'), false);
    assert.equal(mayWatch(tokenFor('live/main', { expiresAtWallS: soonS - 1_000 }), 'live/main'), false);
    assert.equal(mayWatch(tokenFor('live/main', { expiresAtWallS: soonS, key: OTHER }), 'live/main'), false);
    assert.equal(mayWatch(token.replace(String(soonS), String(soonS + 1)), 'live/main'), false);
    assert.equal(mayWatch(token.replace('.k1.', '...'), 'live/main'), false);
    assert.equal(mayWatch('', 'live/main'), false);
  });
});

// ---- keys on disk

const inFolder = (run: (folder: string) => void): void => {
  const folder = tempFolder('tokens');
  try {
    run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

test('keys are made once, private, and rotate: the newest signs, the others stay good until removed', () => {
  inFolder((folder) => {
    const path = join(folder, 'data/token-keys.json');
    const keys = new TokenKeys(path);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const first = keys.signing;
    assert.ok(first.secret.length === 32);
    assert.deepEqual(new TokenKeys(path).signing, first);
    assert.equal(keys.remove(first.id), false, 'the one that signs is not removed');
    const made = keys.rotate();
    assert.equal(keys.signing.id, made?.id);
    assert.deepEqual(new TokenKeys(path).ids, [first.id, made?.id]);
    assert.deepEqual(keys.find(first.id), first);
    assert.equal(keys.remove(first.id), true);
    assert.equal(new TokenKeys(path).find(first.id), undefined);
    while (keys.rotate() !== undefined) {
      assert.ok(keys.ids.length <= 8);
    }
    assert.equal(keys.ids.length, 8);
    assert.equal(keys.find('constructor'), undefined);
  });
});

test('a broken file of keys stops the start instead of being replaced', () => {
  inFolder((folder) => {
    const path = join(folder, 'token-keys.json');
    const secret = randomBytes(32).toString('base64url');
    for (const content of [
      '{',
      '[]',
      '{"signing":"a","keys":{}}',
      '{"signing":"a","keys":{"a":"short"}}',
      `{"signing":"b","keys":{"a":"${secret}"}}`,
    ]) {
      writeFileSync(path, content);
      assert.throws(() => new TokenKeys(path), { code: 'TOKEN_KEYS_UNREADABLE' });
      assert.equal(readFileSync(path, 'utf8'), content);
    }
  });
});

// ---- the gate

type Gated = {
  readonly ask: (kind: PlaybackKind, path: string, change?: Partial<HttpRequest>) => Promise<HttpAnswer>;
  readonly seen: HttpRequest[];
  readonly gate: PlaybackGate;
  readonly issuer: TokenIssuer;
  readonly clock: ManualClock;
  readonly metrics: Metrics;
};

const withGate = async (
  options: Partial<typeof PLAYBACK_TOKEN_DEFAULTS>,
  run: (gated: Gated) => Promise<void>,
): Promise<void> => {
  const folder = tempFolder('gate');
  const clock = new ManualClock({ wallAtZeroMs: NOW_S * 1000 });
  const metrics = new Metrics({ collectDefaults: false });
  const keys = new TokenKeys(join(folder, 'keys.json'));
  const settings = { ...PLAYBACK_TOKEN_DEFAULTS, required: true, ...options };
  const gate = new PlaybackGate(settings, { keys, clock, metrics });
  const seen: HttpRequest[] = [];
  const ask: Gated['ask'] = async (kind, path, change = {}) => {
    const [plain = '', search = ''] = path.split('?');
    const request = {
      method: 'GET',
      path: plain,
      query: new URLSearchParams(search),
      headers: {},
      body: new Uint8Array(),
      remoteAddress: '127.0.0.1',
      signal: new AbortController().signal,
      ...change,
    };
    return gate.guard(kind, async (inner) => {
      seen.push(inner);
      return { status: 200, headers: { 'cache-control': 'public, max-age=0, s-maxage=1' } };
    })(request);
  };
  await run({ ask, seen, gate, issuer: new TokenIssuer(settings, { keys, clock, log: silentLog }), clock, metrics });
  rmSync(folder, { recursive: true });
};

const make = (issuer: TokenIssuer, audience: string): string =>
  issuer.make({ audience, durationS: 60, subject: '' }).token;

test('where tokens are not required all may watch, and a token in the path is simply left out', async () => {
  await withGate({ required: false }, async ({ ask, seen, gate }) => {
    assert.equal((await ask('live', '/hls/main/index.m3u8')).status, 200);
    assert.equal((await ask('live', '/hls/~anything/main/id/part-v1.m4s')).status, 200);
    assert.deepEqual(
      seen.map(({ path }) => path),
      ['/hls/main/index.m3u8', '/hls/main/id/part-v1.m4s'],
    );
    assert.equal(gate.mayWatch('live/main', undefined), true);
  });
});

test('a token in the path, as a bearer or in the query opens live and replay', async () => {
  await withGate({}, async ({ ask, seen, gate, issuer }) => {
    const live = make(issuer, 'live/main');
    const replay = make(issuer, 'replay/00ff');
    const bearer = { headers: { authorization: `Bearer ${live}` } };
    assert.equal((await ask('live', `/hls/~${live}/main/abc/video.m3u8?_HLS_msn=4`)).status, 200);
    assert.equal(seen[0]?.path, '/hls/main/abc/video.m3u8');
    assert.equal((await ask('live', '/hls/main/index.m3u8', bearer)).status, 200);
    assert.equal((await ask('live', `/hls/main/index.m3u8?token=${live}`)).status, 200);
    assert.equal((await ask('live', '/whep/main', { method: 'POST', ...bearer })).status, 200);
    assert.equal((await ask('live', `/whep/main?token=${live}`, { method: 'POST' })).status, 200);
    assert.equal((await ask('replay', `/replay/~${replay}/00ff.mp4?from=1`)).status, 200);
    assert.equal((await ask('replay', `/replay/~${replay}/00ff/index.m3u8`)).status, 200);
    assert.equal(gate.mayWatch('live/main', live), true);
    assert.equal(gate.mayWatch('live/main', replay), false);
  });
});

test('without the right token the answer is 401 with the reason, and nothing behind the gate is asked', async () => {
  await withGate({}, async ({ ask, seen, issuer, clock, metrics }) => {
    const other = make(issuer, 'live/other');
    const own = make(issuer, 'live/main');
    const codeOf = async (path: string, change?: Partial<HttpRequest>): Promise<string> => {
      const answer = await ask('live', path, change);
      assert.equal(answer.status, 401, path);
      assert.equal(answer.headers['cache-control'], 'no-store');
      assert.equal(answer.headers['access-control-allow-origin'], '*');
      assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer/);
      return (JSON.parse(String(answer.body)) as { error: string }).error;
    };
    assert.equal(await codeOf('/hls/main/index.m3u8'), 'TOKEN_MISSING');
    assert.equal(await codeOf('/whep/main', { method: 'POST' }), 'TOKEN_MISSING');
    assert.equal(await codeOf(`/hls/~${other}/main/index.m3u8`), 'TOKEN_AUDIENCE_WRONG');
    assert.equal(await codeOf(`/hls/~${own}x/main/index.m3u8`), 'TOKEN_INVALID');
    assert.equal(await codeOf(`/hls/~${own}`), 'TOKEN_MISSING');
    assert.equal(await codeOf(`/hls/~${own}/~${own}/main/index.m3u8`), 'TOKEN_AUDIENCE_WRONG');
    assert.equal(await codeOf('/hls/~/main/index.m3u8'), 'TOKEN_MISSING');
    assert.equal(await codeOf('/hls//main/index.m3u8'), 'TOKEN_MISSING');
    clock.advanceMs(91_000);
    assert.equal(await codeOf(`/hls/~${own}/main/index.m3u8`), 'TOKEN_EXPIRED');
    assert.equal(seen.length, 0);
    assert.match(await metrics.render(), /playback_refused_total\{code="TOKEN_MISSING"\} 5/);
  });
});

test('preflights and the ends of WHEP sessions need no token; preflights allow it as a header', async () => {
  await withGate({}, async ({ ask }) => {
    const preflight = await ask('live', '/hls/main/index.m3u8', { method: 'OPTIONS' });
    assert.equal(preflight.status, 200);
    assert.equal(preflight.headers['access-control-allow-headers'], 'authorization');
    assert.equal((await ask('live', '/whep/main/0123', { method: 'DELETE' })).status, 200);
    assert.equal((await ask('live', '/whep/main/0123', { method: 'PATCH' })).status, 200);
  });
});

test('shared caches keep what tokens protect only where they check tokens themselves', async () => {
  for (const [options, expected] of [
    [{}, 'private, max-age=0'],
    [{ edgeChecks: true }, 'public, max-age=0, s-maxage=1'],
    [{ required: false }, 'public, max-age=0, s-maxage=1'],
  ] as const) {
    await withGate(options, async ({ ask, issuer }) => {
      const answer = await ask('live', `/hls/~${make(issuer, 'live/main')}/main/index.m3u8`);
      assert.equal(answer.headers['cache-control'], expected);
    });
  }
});

test('a token lasts as long as asked, the default time when not asked, and never longer than the most', async () => {
  await withGate({ durationS: 100, durationMaxS: 200 }, async ({ issuer }) => {
    const lastsS = (durationS: number | undefined): number =>
      issuer.make({ audience: 'live/main', durationS, subject: '' }).expiresAtWallMs / 1000 - NOW_S;
    assert.deepEqual([lastsS(50), lastsS(undefined), lastsS(999)], [50, 100, 200]);
  });
});
