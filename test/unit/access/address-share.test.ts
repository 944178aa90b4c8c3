// What one address may have open: waiting requests and downloads beyond it are refused with 429 until one is over.
import assert from 'node:assert/strict';
import test from 'node:test';
import { AddressShare } from '../../../server/access/address-share.ts';
import type { HttpAnswer, HttpRequest } from '../../../server/base/http-exchange.ts';
import { Metrics } from '../../../server/observability/metrics.ts';

const requestFrom = (remoteAddress: string): HttpRequest => ({
  method: 'GET',
  path: '/hls/x',
  query: new URLSearchParams(),
  headers: {},
  body: new Uint8Array(),
  remoteAddress,
  signal: new AbortController().signal,
});

const createShare = (): { share: AddressShare; metrics: Metrics } => {
  const metrics = new Metrics({ collectDefaults: false });
  const share = new AddressShare({ perAddressMaxCount: 2, totalMaxCount: 3 }, { kind: 'waiting', metrics });
  return { share, metrics };
};

test('requests that wait count, those that are answered or failed do not', async () => {
  const { share, metrics } = createShare();
  const answers: ((answer: HttpAnswer) => void)[] = [];
  const failing = share.guard(async () => Promise.reject(new Error('broken')));
  await assert.rejects(async () => failing(requestFrom('10.0.0.1')));
  const endpoint = share.guard(async () => new Promise<HttpAnswer>((resolve) => answers.push(resolve)));
  const guarded = async (request: HttpRequest): Promise<HttpAnswer> => endpoint(request);
  const waiting = [guarded(requestFrom('10.0.0.1')), guarded(requestFrom('10.0.0.1'))];
  const refused = await guarded(requestFrom('10.0.0.1'));
  assert.equal(refused.status, 429);
  assert.equal(refused.headers['retry-after'], '1');
  waiting.push(guarded(requestFrom('10.0.0.2')));
  assert.equal((await guarded(requestFrom('10.0.0.3'))).status, 429);
  const text = await metrics.render();
  assert.match(text, /http_shares_refused_total\{kind="waiting",cap="address"\} 1/);
  assert.match(text, /http_shares_refused_total\{kind="waiting",cap="total"\} 1/);
  answers.forEach((answer) => answer({ status: 200, headers: {} }));
  await Promise.all(waiting);
  const again = guarded(requestFrom('10.0.0.1'));
  answers.at(-1)?.({ status: 200, headers: {} });
  assert.equal((await again).status, 200);
});

test('giving a download back twice frees one place', () => {
  const { share } = createShare();
  const release = share.take('10.0.0.1');
  assert.ok(release !== undefined && share.take('10.0.0.1') !== undefined);
  release();
  release();
  assert.ok(share.take('10.0.0.1') !== undefined);
  assert.equal(share.take('10.0.0.1'), undefined);
});
