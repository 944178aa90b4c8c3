/** A server that asks for playback tokens, as viewers meet it: no door opens without one, all do with one, and caches keep only what they may. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { WebSocket } from 'ws';
import type { SluicePlayer } from '../../player/ui/element.ts';
import type { ReplayList } from '../../server/api/contract/replays.ts';
import { closeBrowser, openPage } from '../support/browser.ts';
import { LiveStage } from '../support/live-stage.ts';
import { within, withinValue } from '../support/wait.ts';
import { openPlaying } from '../support/watch-page.ts';

after(closeBrowser);

type Made = { readonly token: string; readonly watchUrl: string; readonly playlistUrl: string };

test('W14 with tokens required no door opens without one, and each does with one', async (t) => {
  const stage = new LiveStage(t);
  const server = await stage.server({ config: { watch: { tokens: { required: true, skewMaxS: 0 } } } });
  const keys = JSON.parse(readFileSync(path.join(server.folder, 'data/keys.json'), 'utf8')) as {
    admin: string;
    publish: Record<string, string>;
  };
  await stage.publisher({ url: `${server.rtmpUrl('main')}?key=${keys.publish['main']}`, preset: 'zerolatency' });
  await server.waitState('main', 'live');
  const make = async (audience: string, durationS: number): Promise<Made> => {
    const response = await fetch(`${server.httpUrl}/api/tokens`, {
      method: 'POST',
      headers: { authorization: `Bearer ${keys.publish['main']}`, 'content-type': 'application/json' },
      body: JSON.stringify({ audience, durationS }),
    });
    assert.equal(response.status, 201);
    return (await response.json()) as Made;
  };
  const made = await make('live/main', 600);

  await t.test('without one', async () => {
    const offer = await fetch(server.whepUrl('main'), {
      method: 'POST',
      headers: { 'content-type': 'application/sdp' },
      body: 'v=0',
    });
    assert.equal(offer.status, 401);
    assert.match(offer.headers.get('www-authenticate') ?? '', /^Bearer/);
    assert.match(await offer.text(), /TOKEN_MISSING/);
    assert.equal((await fetch(server.playlistUrl('main'))).status, 401);
    assert.equal((await fetch(server.playlistUrl('main').replace('/main/', '/~v1.x.y.z.a.b/main/'))).status, 401);
    const socket = new WebSocket(`${server.httpUrl.replace('http', 'ws')}/ws/main`);
    const [error] = (await once(socket, 'error')) as [Error];
    assert.match(error.message, /401/);
  });

  await t.test('every address a playlist names inherits the token, and no shared cache may keep it', async () => {
    const multivariant = await fetch(made.playlistUrl);
    assert.equal(multivariant.status, 200);
    assert.doesNotMatch(multivariant.headers.get('cache-control') ?? '', /public|s-maxage/);
    const names = (await multivariant.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    const playlistUrl = new URL(names[0] ?? '', made.playlistUrl).href;
    const text = await (await fetch(playlistUrl)).text();
    assert.doesNotMatch(text, new RegExp(made.token.slice(-20)), 'playlists are the same for all');
    const mediaUrl = new URL(/#EXT-X-MAP:URI="([^"]+)"/.exec(text)?.[1] ?? '', playlistUrl).href;
    assert.equal((await fetch(mediaUrl)).status, 200);
    assert.equal((await fetch(mediaUrl.replace(`~${made.token}/`, ''))).status, 401);
  });

  await t.test('an expired one says so', async () => {
    const short = await make('live/main', 1);
    assert.equal((await fetch(short.playlistUrl)).status, 200);
    await within(5_000, 'it has expired', async () =>
      (await (await fetch(short.playlistUrl)).text()).includes('TOKEN_EXPIRED'),
    );
  });

  await t.test('Chromium plays both ways from the address the API gave', async () => {
    const opened = await openPage();
    await openPlaying(opened.page, made.watchUrl, 'whep');
    await openPlaying(opened.page, made.watchUrl.replace('#', '?transport=ll-hls#'), 'll-hls');
    await opened.close();
  });

  await t.test('its replay as well: no byte without one, all of it in Chromium with one', async () => {
    const authorization = `Bearer ${keys.admin}`;
    await fetch(`${server.httpUrl}/api/broadcasts/main`, { method: 'DELETE', headers: { authorization } });
    const replay = await withinValue(10_000, 'the replay is there', async () => {
      const { replays } = (await (await fetch(`${server.httpUrl}/api/replays`)).json()) as ReplayList;
      return replays.find(({ state }) => state === 'ended');
    });
    for (const address of [replay.playlistUrl, replay.downloadUrl, replay.posterUrl, replay.storyboardUrl]) {
      assert.equal((await fetch(`${server.httpUrl}${address}`)).status, 401, address);
    }
    const { watchUrl } = await make(`replay/${replay.id}`, 600);
    const opened = await openPage();
    await opened.page.goto(watchUrl);
    await within(10_000, 'the replay moves', async () =>
      opened.page.evaluate(() => {
        const player: SluicePlayer | null = document.querySelector('sluice-player');
        if (player?.paused === true) {
          player.play();
        }
        return (player?.currentTime ?? 0) > 1;
      }),
    );
    const download = await opened.page.evaluate(async () => {
      const link = document.querySelector<HTMLAnchorElement>('#download')!;
      return (await fetch(link.href, { headers: { range: 'bytes=0-99' } })).status;
    });
    assert.equal(download, 206);
    await opened.close();
  });
});
