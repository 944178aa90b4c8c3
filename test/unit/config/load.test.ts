// The configuration: the manual says what the parts default to, faults are listed together, nothing can be changed afterwards.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import test from 'node:test';
import { loadConfig } from '../../../config/load.ts';
import { SHARE_DEFAULTS } from '../../../server/access/address-share.ts';
import { PLAYBACK_TOKEN_DEFAULTS } from '../../../server/access/playback-gate.ts';
import { DEFAULT_HTTP_SERVER_OPTIONS, DEFAULT_TLS_OPTIONS } from '../../../server/api/http-server.ts';
import { DEFAULT_SOCKET_OPTIONS } from '../../../server/api/routes/socket.ts';
import { DROPS_DEFAULTS } from '../../../server/drops/options.ts';
import { LINK_CAPTURE_DEFAULTS } from '../../../server/learning/link-captures.ts';
import { DEFAULT_RTMP_OPTIONS } from '../../../server/ingest/rtmp/options.ts';
import { HLS_DEFAULTS } from '../../../server/relay/hls/http-handler.ts';
import { RECORDER_DEFAULTS } from '../../../server/replay/options.ts';
import { CONGESTION_DEFAULTS } from '../../../server/relay/webrtc/congestion-options.ts';
import { MEDIA_THREAD_DEFAULTS } from '../../../server/media-threads/options.ts';
import { WEBRTC_OUT_DEFAULTS } from '../../../server/relay/webrtc/options.ts';
import { WEBRTC_PORT_DEFAULTS } from '../../../server/webrtc-transport/webrtc-port.ts';
import { ESSENTIALS_DEFAULTS } from '../../../transcode/essentials.ts';
import { LADDER_DEFAULTS } from '../../../transcode/ladder-plan.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const DEFAULT_YAML = readFileSync(resolve(import.meta.dirname, '../../../config/default.yaml'), 'utf8');

const faultsOf = (load: () => unknown): string => {
  try {
    load();
  } catch (error) {
    return String(error);
  }
  return '';
};

test('default.yaml says what the parts default to', () => {
  const config = loadConfig();
  const { repairedVideoId: _id, aacAudioId: _aacId, ...hls } = HLS_DEFAULTS;
  assert.deepEqual(config.http, DEFAULT_HTTP_SERVER_OPTIONS);
  assert.deepEqual(config.tls, DEFAULT_TLS_OPTIONS);
  assert.deepEqual(config.watch, { tokens: PLAYBACK_TOKEN_DEFAULTS, shares: SHARE_DEFAULTS });
  assert.deepEqual(config.sockets, DEFAULT_SOCKET_OPTIONS);
  assert.deepEqual(config.rtmp, DEFAULT_RTMP_OPTIONS);
  assert.deepEqual(config.webrtc, { ...WEBRTC_PORT_DEFAULTS, ...WEBRTC_OUT_DEFAULTS, ...MEDIA_THREAD_DEFAULTS });
  assert.deepEqual(config.congestion, { ...CONGESTION_DEFAULTS, capture: LINK_CAPTURE_DEFAULTS });
  assert.deepEqual(config.hls, hls);
  assert.deepEqual(config.transcode, ESSENTIALS_DEFAULTS);
  assert.deepEqual(config.ladder, LADDER_DEFAULTS);
  assert.deepEqual({ ...config.drops, ...DROPS_DEFAULTS }, config.drops);
  assert.deepEqual({ ...config.replay, ...RECORDER_DEFAULTS }, config.replay);
});

test('a file of one’s own changes what it names and nothing else, --set wins over it', () => {
  const folder = tempFolder('config');
  const filePath = join(folder, 'my.yaml');
  writeFileSync(filePath, 'http:\n  port: 9000\npublish:\n  gopCache:\n    cacheMaxCount: 77\n');
  const config = loadConfig({ filePath, settings: ['http.host=127.0.0.1', 'webrtc.announcedAddresses=[203.0.113.5]'] });
  rmSync(folder, { recursive: true });
  assert.equal(config.http.port, 9_000);
  assert.equal(config.http.host, '127.0.0.1');
  assert.equal(config.publish.gopCache.cacheMaxCount, 77);
  assert.equal(config.publish.gopCache.cacheMaxBytes, 33_554_432);
  assert.deepEqual(config.webrtc.announcedAddresses, ['203.0.113.5']);
});

test('all faults are listed at once, by key path', () => {
  const faults = faultsOf(() =>
    loadConfig({ settings: ['http.port=70000', 'htpp.port=1', 'hls.partTargetMs=fast', 'publish.firstName=a b'] }),
  );
  for (const expected of [/http\.port/, /htpp/, /hls\.partTargetMs/, /publish\.firstName: expected 1 to 64/]) {
    assert.match(faults, expected);
  }
});

test('what cannot be read is said with its path', () => {
  assert.match(
    faultsOf(() => loadConfig({ filePath: '/nowhere/x.yaml' })),
    /CONFIG_UNREADABLE.*\/nowhere\/x\.yaml/,
  );
  assert.match(
    faultsOf(() => loadConfig({ settings: ['novalue'] })),
    /expected key\.path=value/,
  );
});

test('the result cannot be changed', () => {
  const config = loadConfig();
  assert.throws(() => Object.assign(config.http, { port: 1 }), TypeError);
});

test('every key of the manual has a comment on it or on the group of lines it stands in', () => {
  const lines = DEFAULT_YAML.split('\n');
  const bare = lines.filter((line, index) => {
    const isTopScalar = /^[A-Za-z]+: \S/.test(line);
    return isTopScalar && !(lines[index - 1] ?? '').trimStart().startsWith('#');
  });
  assert.deepEqual(bare, []);
  const sections = DEFAULT_YAML.split(/\n(?=[a-z]+:\n)/).slice(1);
  assert.ok(sections.length >= 8);
  for (const section of sections) {
    assert.match(section, /^\w+:\n(?:.*\n)*?\s+# /, section.split('\n')[0]);
  }
});

test('no secret has a default', () => {
  assert.doesNotMatch(DEFAULT_YAML, /(?:secret|password|token|key): *\S/i);
});
