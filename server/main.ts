/**
 * The whole machine on one page: reads the configuration, builds the parts, joins them, opens the doors, and closes them in order. The only
 * place where parts meet.
 */
import { randomInt } from 'node:crypto';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { loadConfig, loadQualityModel } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { AddressShare } from './access/address-share.ts';
import { KeyStore, secretsMatch } from './access/key-store.ts';
import { PlaybackGate } from './access/playback-gate.ts';
import { isLoopbackAddress, isLoopbackOpen } from './access/publish-policy.ts';
import { isInContainer } from './access/surroundings.ts';
import { TokenIssuer } from './access/token-issuer.ts';
import { TokenKeys } from './access/token-keys.ts';
import { HttpServer } from './api/http-server.ts';
import { isTlsWanted } from './api/tls/certificate-source.ts';
import { systemClock } from './base/clock.ts';
import { messageOf } from './base/errors.ts';
import { FolderLock } from './base/folder-lock.ts';
import { Prng } from './base/prng.ts';
import { joinCues, recordCues } from './broadcast-cues.ts';
import { BroadcastHealth, createStudioView } from './broadcast-health.ts';
import { BroadcastSummaries } from './broadcast-summaries.ts';
import { CueDesk } from './cues/cue-desk.ts';
import { Drain } from './drain.ts';
import { joinDrops } from './drop-cues.ts';
import { openDropsDoor } from './drops-door.ts';
import type { DoctorFinding } from './ingest/finding.ts';
import { RtmpServer } from './ingest/rtmp/server.ts';
import { createWhipEndpoint } from './ingest/whip/endpoint.ts';
import { WhipServer } from './ingest/whip/whip-server.ts';
import { createLearningView } from './learning-view.ts';
import { Learning } from './learning/learning.ts';
import { loadPolicies } from './learning/policy-files.ts';
import { createLog } from './observability/log.ts';
import { Metrics } from './observability/metrics.ts';
import { createPublishGate } from './publishing.ts';
import { createCueDates } from './relay/hls/cue-dates.ts';
import { HlsServer } from './relay/hls/http-handler.ts';
import { Hub } from './relay/hub.ts';
import { Ladders } from './ladders.ts';
import { Repair } from './repair.ts';
import { nodeFileSystem } from './replay/file-system.ts';
import { Recorder } from './replay/recorder.ts';
import { RecordingStore } from './replay/recording-store.ts';
import { ReplayDoor } from './replay/replay-door.ts';
import { createReplaysView } from './replay-library.ts';
import { startDemo } from '../transcode/demo-source.ts';
import { AAC_AUDIO, REPAIRED_VIDEO } from '../transcode/essentials.ts';
import { makeSheet } from '../transcode/stills.ts';
import { createReportersView } from './reported-viewers.ts';
import { ViewerList } from './viewer-list.ts';
import { listWebRtcViewers } from './viewer-timelines.ts';
import { createHintsView } from './playback-hints.ts';
import { createSmoothnessView } from './smoothness.ts';
import { createSessionsView } from './viewer-sessions.ts';
import { iceServerLink } from './webrtc-transport/ice-server-link.ts';
import { announceEvents } from './hook-events.ts';
import { Webhooks } from './webhooks/webhooks.ts';
import { openWebRtcMedia } from './webrtc-media.ts';
import { welcomeText } from './welcome.ts';

const DEMO_NAME = 'demo';
const PROJECT_FOLDER = resolve(import.meta.dirname, '..');
const PLAYER_FOLDER = resolve(PROJECT_FOLDER, 'player/dist');

const start = async (config: Config, isDemo: boolean): Promise<void> => {
  const clock = systemClock;
  const log = createLog(config.log);
  const metrics = new Metrics({ collectDefaults: true });
  const folderLock = FolderLock.take(config.dataDir);
  const keyFilePath = join(config.dataDir, 'keys.json');
  const { store: keys, isNew } = KeyStore.open(keyFilePath, config.publish.firstName);
  const tokenKeys = new TokenKeys(join(config.dataDir, 'token-keys.json'));
  const gate = new PlaybackGate(config.watch.tokens, { keys: tokenKeys, clock, metrics });
  const { shares } = config.watch;
  const waiting = new AddressShare(
    { perAddressMaxCount: shares.waitingPerAddressMaxCount, totalMaxCount: shares.waitingMaxCount },
    { kind: 'waiting', metrics },
  );
  const downloads = new AddressShare(
    { perAddressMaxCount: shares.downloadPerAddressMaxCount, totalMaxCount: shares.downloadMaxCount },
    { kind: 'downloads', metrics },
  );
  const isLoopbackTrusted = isLoopbackOpen(config.publish.loopback, {
    isContainer: isInContainer(),
    hasTls: isTlsWanted(config.tls),
    hasPublicAddress: config.webrtc.announcedAddresses.length > 0,
    hasTrustedProxy: config.http.trustedProxies.length > 0,
  });

  const { drops, endpoint: dropsEndpoint } = await openDropsDoor(config, { keys, clock, log, metrics });
  const hub = new Hub({ settings: config.publish, clock, log, metrics });
  const drain = new Drain();
  const repair = new Repair({ hub, options: config.transcode, clock, log, metrics });
  const ladders = new Ladders({
    ...{ hub, options: config.ladder, transcode: config.transcode, clock, log, metrics },
    qualityModel: loadQualityModel(),
    speedsPath: resolve(config.dataDir, 'encoder-speeds.json'),
  });
  const recordingsRoot = resolve(config.dataDir, config.replay.folder);
  const recordings = new RecordingStore({ root: recordingsRoot, files: nodeFileSystem, log });
  await recordings.scan();
  const prng = new Prng(randomInt(2 ** 32));
  const webhooks = new Webhooks(config.webhooks, { clock, log, metrics, nextRatio: () => prng.nextRatio() });
  const recorder = new Recorder({
    settings: config.replay,
    root: recordingsRoot,
    store: recordings,
    clock,
    log,
    metrics,
  });
  const desk = await CueDesk.open({
    ...{ settings: config.cues, folder: join(config.dataDir, 'cues'), clock, log, metrics },
  });
  const hls = new HlsServer({
    settings: { ...config.hls, repairedVideoId: REPAIRED_VIDEO, aacAudioId: AAC_AUDIO },
    rewind: config.replay.enabled ? recorder : undefined,
    dates: createCueDates(desk),
    clock,
    log,
    metrics,
  });
  hub.listen({
    onBroadcastStarted: (broadcast) => {
      hls.attach(broadcast);
      // After LL-HLS, which at the end hands over the last segments.
      broadcast.listen({
        onStateChanged: (state) => (state === 'ended' ? void recorder.end(broadcast.id, 'broadcast_ended') : undefined),
      });
    },
  });
  recordCues(desk, recorder);
  announceEvents(webhooks, { hub, recordings, desk, clock });
  joinCues({ desk, settings: config.cues, hub, programOffsetMs: (name) => hls.programOffsetMs(name) });
  const { trace } = config.congestion;
  const traceFolder = trace.folder === '' ? '' : resolve(config.dataDir, trace.folder);
  const congestion = { ...config.congestion, trace: { ...trace, folder: traceFolder } };
  const { policyFolder } = config.congestion;
  const policies = policyFolder === '' ? [] : await loadPolicies(resolve(PROJECT_FOLDER, policyFolder), log);
  const { capture } = config.congestion;
  const captureFolder = capture.folder === '' ? '' : resolve(config.dataDir, capture.folder);
  const learning = await Learning.open(
    { ...config.congestion.learning, file: resolve(config.dataDir, config.congestion.learning.file) },
    { policies, clock, log, nextRatio: () => prng.nextRatio() },
  );
  const media = await openWebRtcMedia({
    ...{ settings: config.webrtc, congestion, capture: { ...capture, folder: captureFolder }, policies, learning },
    ...{ gopCache: config.publish.gopCache, logLevel: config.log.level, hub, clock, prng, log, metrics },
  });
  const { out: webRtc, port: webRtcPort } = media;
  const viewers = new ViewerList(clock);
  listWebRtcViewers(viewers, webRtc);
  const findingsOf = (name: string): readonly DoctorFinding[] => [...rtmp.findings(name), ...whipServer.findings(name)];
  const health = new BroadcastHealth({
    ...{ hub, viewers, clock, findingsOf },
    hlsCountOf: (name) => hls.viewerCount(name),
  });
  const publishGate = createPublishGate({
    ...{ hub, keys, log },
    isLoopbackOpen: isLoopbackTrusted,
    isDraining: () => drain.isDraining,
    onRefused: (name, remoteAddress) => health.noteRefusal(name, remoteAddress),
  });
  const rtmp = new RtmpServer({ options: config.rtmp, gate: publishGate, clock, log, metrics });
  const whipServer = new WhipServer({ settings: config.whip, port: webRtcPort, clock, log, metrics });
  const whip = createWhipEndpoint({
    server: whipServer,
    gate: publishGate,
    isKey: (name, key) => keys.isPublishKey(name, key),
    iceServerLinks: config.webrtc.iceServers.map(iceServerLink),
    clock,
  });
  const replay = new ReplayDoor({
    recordings,
    retention: config.replay.retention,
    makeSheet: async (job) => makeSheet(config.transcode.ffmpegPath, job),
    downloads,
    clock,
    log,
    metrics,
  });
  const summaries = new BroadcastSummaries({
    hub,
    viewerCountOf: (name) => {
      const broadcast = hub.find(name);
      return hls.viewerCount(name) + (broadcast === undefined ? 0 : webRtc.viewerCount(broadcast));
    },
    findingsOf,
    recordingOf: (broadcastId) => recorder.statusOf(broadcastId),
    ladderOf: (name) => ladders.statusOf(name),
    encoder: () => ladders.encoder,
  });
  const tokens = new TokenIssuer(config.watch.tokens, { keys: tokenKeys, clock, log });
  const whep = media.endpoint({ audience: summaries, lacking: (name) => repair.lackingPictureOf(name) });
  const http = new HttpServer({
    settings: config.http,
    tls: config.tls,
    dataDir: config.dataDir,
    socketSettings: config.sockets,
    endpoints: {
      '/hls': gate.guard('live', waiting.guard(hls.endpoint)),
      '/whep': gate.guard('live', whep),
      '/whip': whip,
      '/replay': gate.guard('replay', replay.endpoint),
    },
    drops: dropsEndpoint,
    broadcasts: summaries,
    cues: joinDrops(desk, drops),
    keys,
    tokens,
    replays: createReplaysView(replay.library, { keys }),
    sessions: createSessionsView(webRtc, metrics),
    reporters: createReportersView(viewers, clock),
    viewers,
    smoothness: createSmoothnessView({ hub, webRtc, keys }),
    studio: createStudioView({
      ...{ health, keys, tokens, areTokensRequired: config.watch.tokens.required },
      mayHaveDrops: (name) => drops.isOpenTo(name),
      doors: { rtmpPort: () => rtmp.port, isLoopbackOpen: isLoopbackTrusted },
    }),
    hints: createHintsView({ hub, hls, webRtc }, congestion),
    learning: createLearningView(learning, policies),
    health: { readiness: () => ({ isReady: !drain.isDraining, problems: drain.isDraining ? ['draining'] : [] }) },
    access: {
      isAdmin: (bearer) => bearer !== undefined && secretsMatch(bearer, keys.adminKey),
      isLoopback: isLoopbackAddress,
      mayWatch: (name, token) => gate.mayWatch(`live/${name}`, token),
    },
    playerFolder: PLAYER_FOLDER,
    clock,
    log,
    metrics,
  });

  drain.add('rtmp', (reason) => rtmp.close(reason));
  drain.add('whip', async (reason) => whipServer.close(reason));
  drain.add('webrtc', (reason) => media.close(reason));
  drain.add('learning', async () => learning.close());
  drain.add('hub', (reason) => hub.close(reason));
  drain.add('http', (reason) => http.close(reason));
  drain.add('drops', () => drops.stop());
  drain.add('hls', () => hls.close());
  drain.add('cues', () => desk.close());
  drain.add('replay', () => replay.close());
  drain.add('recorder', async (reason) => recorder.close(reason));
  drain.add('webrtc port', (reason) => webRtcPort.close(reason));
  drain.add('summaries', () => summaries.close());
  drain.add('health', () => health.close());
  drain.add('ladders', () => ladders.close());
  drain.add('webhooks', async () => webhooks.close());
  drain.add('data folder', () => folderLock.release());

  await rtmp.listen();
  const { http: httpPort, https: httpsPort } = await http.listen();
  log.info('server.ready', {
    httpPort,
    httpsPort,
    rtmpPort: rtmp.port,
    webrtcPort: media.viewerPort,
    pid: process.pid,
  });
  process.stderr.write(
    welcomeText({
      httpPort,
      httpsPort,
      rtmpPort: rtmp.port,
      keys,
      isFirstRun: isNew,
      keyFilePath,
      firstName: config.publish.firstName,
      isLoopbackOpen: isLoopbackTrusted,
      demoName: isDemo ? DEMO_NAME : undefined,
    }),
  );
  if (isDemo) {
    const key = isLoopbackTrusted ? '' : `?key=${keys.publishKeyOf(DEMO_NAME) ?? keys.renewPublishKey(DEMO_NAME)}`;
    const url = `rtmp://127.0.0.1:${rtmp.port}/live/${DEMO_NAME}${key}`;
    drain.add('demo', startDemo({ ffmpegPath: config.transcode.ffmpegPath, url }, { clock, log }));
  }
  const selfTest = await media.selfTest();
  log.info('webrtc.self-test', { isOk: selfTest.isOk, results: selfTest.results });
  for (const advice of selfTest.advice) {
    process.stderr.write(`  ${advice}\n`);
  }
  await drain.onSignal({ drainMaxS: config.drain.drainMaxS, isBusy: () => hub.broadcasts.size > 0, log });
  log.info('server.stopped');
  process.exit(0);
};

const { values: flags } = parseArgs({
  options: {
    config: { type: 'string' },
    set: { type: 'string', multiple: true },
    demo: { type: 'boolean', default: false },
  },
});

try {
  await start(loadConfig({ filePath: flags.config, settings: flags.set ?? [] }), flags.demo);
} catch (error) {
  process.stderr.write(`sluice: ${messageOf(error)}\n`);
  process.exit(1);
}
