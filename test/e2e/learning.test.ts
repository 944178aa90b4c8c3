/**
 * A learning server and our player in the real Chromium: who watches half a minute teaches it something, and the player and the server's picture of
 * it agree. In the full size alone, since it takes a minute.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type { LearningStatus } from '../../server/api/contract/learning.ts';
import { closeBrowser, openPage } from '../support/browser.ts';
import { LiveStage } from '../support/live-stage.ts';
import type { SluiceProcess } from '../support/sluice-process.ts';
import { within } from '../support/wait.ts';

const isSoak = process.env['SLUICE_SIZE'] === 'soak';
const NAME = 'taught';
const WATCHED_MS = 40_000;
const VIEWER_COUNT = 2;

const adminOf = (server: SluiceProcess): string =>
  (JSON.parse(readFileSync(path.join(server.folder, 'data/keys.json'), 'utf8')) as { admin: string }).admin;

const statusOf = async (server: SluiceProcess, admin: string): Promise<LearningStatus> =>
  (await (
    await fetch(`${server.httpUrl}/api/learning`, { headers: { authorization: `Bearer ${admin}` } })
  ).json()) as LearningStatus;

const watch = async (t: TestContext, url: string): Promise<void> => {
  const opened = await openPage();
  const { page } = opened;
  t.after(async () => opened.close());
  await page.goto(url);
  await within(20_000, 'a picture moves', async () =>
    page.evaluate(() => {
      const player = document.querySelector('sluice-player') as unknown as { sample: { framesDecoded: number } | null };
      return (player.sample?.framesDecoded ?? 0) > 30;
    }),
  );
  const deadlineMs = performance.now() + WATCHED_MS;
  await within(WATCHED_MS + 10_000, 'half a minute was watched', () => performance.now() >= deadlineMs);
  await opened.close();
};

test('who watches teaches, and is told in the API and kept on disk', { skip: !isSoak }, async (t) => {
  const stage = new LiveStage(t);
  t.after(closeBrowser);
  const server = await stage.server({
    config: { congestion: { learning: { enabled: true, arm: 'patient', holdoutRatio: 0 } } },
  });
  const publisher = await stage.publisher({ url: server.rtmpUrl(NAME), preset: 'zerolatency' });
  assert.ok(publisher !== undefined);
  await server.waitState(NAME, 'live');
  const admin = adminOf(server);
  for (let viewer = 0; viewer < VIEWER_COUNT; viewer += 1) {
    await watch(t, server.watchUrl(NAME));
  }
  await within(10_000, 'sessions have taught or were refused', async () => {
    const { classes, refused } = await statusOf(server, admin);
    const learned = classes.flatMap(({ arms }) => arms).reduce((sum, { sessionCount }) => sum + sessionCount, 0);
    return Math.round(learned) + refused.unreported + refused.contradicted + refused.short >= VIEWER_COUNT;
  });
  const status = await statusOf(server, admin);
  t.diagnostic(
    JSON.stringify({
      refused: status.refused,
      classes: status.classes.map(({ networkClass, sessionCount }) => [networkClass, sessionCount]),
      differences: status.comparisons[0]?.differences.map(({ measure, learning }) => [measure, learning]),
    }),
  );
  assert.equal(status.pinnedArm, 'patient');
  const patient = status.classes.flatMap(({ arms }) => arms).filter(({ name }) => name === 'patient');
  assert.ok(patient.reduce((sum, { sessionCount }) => sum + sessionCount, 0) >= 1, JSON.stringify(status.refused));
  const file = path.join(server.folder, 'data/learned.json');
  server.signal('SIGTERM');
  await within(
    20_000,
    'what was learned is on disk',
    () => existsSync(file) && readFileSync(file, 'utf8').includes('patient#'),
  );
});
