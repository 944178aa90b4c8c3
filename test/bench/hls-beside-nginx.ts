/**
 * Viewers of LL-HLS at 2.5 Mbit/s with sound and parts of 333 ms: the server's CPU per megabyte sent, beside nginx that serves the very same files
 * from a RAM disk, over HTTP/1.1 in the clear and over HTTP/2 with the same certificate; in one run, by turns, each pinned to the same core, the viewers
 * on the other. nginx has no playlist to hold back and nothing to ingest; what ours takes for that with nobody watching is not counted.
 */
import { rm, writeFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { percentile } from '../latency/viewer/frame-analysis.ts';
import { NginxProcess, nginxMissing } from '../support/nginx-process.ts';
import { cpuMs } from '../support/process-usage.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { withinValue } from '../support/wait.ts';
import { LOAD_CPU, SERVER_CPU, WARM_UP_S, idleCpuRatio, openHlsStage } from './hls-blocked.ts';
import type { HlsStage } from './hls-blocked.ts';
import { startHlsLoad } from './hls-load-process.ts';
import type { HlsLoadOptions, HlsLoadReport } from './hls-load.ts';
import type { Bench, BenchRow } from './row.ts';

const VIEWER_COUNT = 200;
const [DURATION_S, TURN_COUNT] = process.env['SLUICE_SIZE'] === 'soak' ? [8, 3] : [6, 1];
const PART_MS = 333;
const PART_COUNT = 12;

type Protocol = NonNullable<HlsLoadOptions['protocol']>;

const NGINX_HTTP = `sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 10000000; keepalive_timeout 300; http2_max_requests 10000000;
  open_file_cache max=1000 inactive=300s; types { application/vnd.apple.mpegurl m3u8; video/mp4 mp4 m4s; }
  server { listen LISTEN backlog=4096 TLS; location / { root ROOT; add_header Cache-Control "public, max-age=31536000, immutable"; } }`;

export const hlsBesideNginxBench: Bench = {
  name: 'hls-beside-nginx',
  run: async () => {
    const missing = nginxMissing();
    if (missing !== false) {
      console.error(`hls-beside-nginx is not run: ${missing}`);
      return [];
    }
    const files = tempFolder('hls-bench', '/dev/shm');
    const stage = await openHlsStage();
    try {
      await copyFiles(stage, files);
      return [...(await compare('http1', stage, files)), ...(await compare('http2', stage, files))];
    } finally {
      await stage.stop();
      await rm(files, { recursive: true, force: true });
    }
  },
};

const compare = async (protocol: Protocol, stage: HlsStage, files: string): Promise<BenchRow[]> => {
  const nginx = await startNginx(protocol, stage, files);
  try {
    const ours: Turn[] = [];
    const theirs: Turn[] = [];
    // Where the machine is busy, a few seconds of warm-up are not enough for code to be compiled.
    await measureOurs(protocol, stage);
    for (let turn = 0; turn < TURN_COUNT; turn += 1) {
      ours.push(await measureOurs(protocol, stage));
      theirs.push(await measureNginx(protocol, nginx));
    }
    return toRows(protocol, ours, theirs);
  } finally {
    await nginx.stop();
  }
};

const startNginx = async (protocol: Protocol, { sluice }: HlsStage, files: string): Promise<NginxProcess> => {
  const pem = (name: string): string => path.join(sluice.folder, 'data/tls', name);
  const tls = `ssl http2; ssl_certificate ${pem('self-made.crt')}; ssl_certificate_key ${pem('self-made.key')}`;
  const http = NGINX_HTTP.replace('ROOT', files).replace(' TLS', protocol === 'http2' ? ` ${tls}` : '');
  return NginxProcess.start({ http, cpus: SERVER_CPU });
};

/** What one turn of viewers cost the server. */
type Turn = { readonly report: HlsLoadReport; readonly usedMs: number };

const measureOurs = async (protocol: Protocol, { sluice, playlists }: HlsStage): Promise<Turn> => {
  const port = protocol === 'http2' ? (sluice.ports.https ?? 0) : sluice.ports.http;
  const idleRatio = await idleCpuRatio(sluice, 3_000);
  const turn = await measure(sluice.pid, { mode: 'viewer', protocol, port, playlists });
  return { ...turn, usedMs: turn.usedMs - idleRatio * turn.report.elapsedMs };
};

const measureNginx = async (protocol: Protocol, nginx: NginxProcess): Promise<Turn> =>
  measure(nginx.pid, {
    ...{ mode: 'files', protocol, port: nginx.port, playlists: ['/video/index.m3u8', '/audio/index.m3u8'] },
    ...{ partMs: PART_MS, partCount: PART_COUNT },
  });

const measure = async (
  pid: number,
  what: Pick<HlsLoadOptions, 'mode' | 'protocol' | 'port' | 'playlists' | 'partMs' | 'partCount'>,
): Promise<Turn> => {
  const size = { viewerCount: VIEWER_COUNT, durationS: DURATION_S, warmUpS: WARM_UP_S };
  const load = await startHlsLoad({ ...what, ...size, cpus: LOAD_CPU });
  const before = cpuMs(pid, { withChildren: false });
  const report = await load.report;
  return { report, usedMs: cpuMs(pid, { withChildren: false }) - before };
};

/** A playlist and the parts that it lists, of each rendition. */
const copyFiles = async ({ sluice, playlists }: HlsStage, files: string): Promise<void> => {
  for (const playlist of playlists) {
    const text = await withinValue(10_000, `${PART_COUNT} parts are listed`, async () => {
      const answer = await (await fetch(`${sluice.httpUrl}${playlist}`)).text();
      return (answer.match(/EXT-X-PART:/g)?.length ?? 0) >= PART_COUNT ? answer : undefined;
    });
    const folder = path.join(files, path.basename(playlist, '.m3u8'));
    await mkdir(folder);
    await writeFile(path.join(folder, 'index.m3u8'), text);
    const uris = [...text.matchAll(/EXT-X-PART:[^\n]*URI="([^"]+)"/g)].map(([, uri]) => uri ?? '').slice(0, PART_COUNT);
    for (const [index, uri] of uris.entries()) {
      const part = await fetch(`${sluice.httpUrl}${path.posix.dirname(playlist)}/${uri}`);
      await writeFile(path.join(folder, `part-${index}.m4s`), new Uint8Array(await part.arrayBuffer()));
    }
  }
};

const toRows = (protocol: Protocol, ours: readonly Turn[], theirs: readonly Turn[]): BenchRow[] => {
  const name = protocol === 'http2' ? 'LL-HLS over HTTP/2 with TLS' : 'LL-HLS over HTTP/1.1';
  const [own, other] = [usPerMegabyte(ours), usPerMegabyte(theirs)];
  return [
    { name: `${name}: CPU per MB sent`, value: own, unit: 'µs', note: noteOf(ours) },
    { name: `${name}: nginx, same files from a RAM disk`, value: other, unit: 'µs', note: noteOf(theirs) },
    { name: `${name}: ours ÷ nginx's`, value: own / other, unit: 'x', target: { max: 1.5 } },
  ];
};

const sum = (turns: readonly Turn[], read: (turn: Turn) => number): number =>
  turns.reduce((total, turn) => total + read(turn), 0);

/** The median of the turns: other work on the machine comes and goes. */
const usPerMegabyte = (turns: readonly Turn[]): number =>
  percentile(
    turns.map(({ usedMs, report }) => (1000 * usedMs) / (report.bytes / 1e6)),
    0.5,
  );

const noteOf = (turns: readonly Turn[]): string => {
  const elapsedMs = sum(turns, ({ report }) => report.elapsedMs);
  const answerCount = sum(turns, ({ report }) => report.responseCount);
  const failures = turns.flatMap(({ report }) => report.failures);
  return [
    `${((1000 * sum(turns, ({ usedMs }) => usedMs)) / answerCount).toFixed(1)} µs an answer`,
    `by turns ${turns.map((turn) => usPerMegabyte([turn]).toFixed(0)).join(', ')}`,
    `${answerCount} answers, ${((sum(turns, ({ report }) => report.bytes) * 8) / elapsedMs / 1e3 / VIEWER_COUNT).toFixed(2)} Mbit/s a viewer`,
    `client ${((100 * sum(turns, ({ report }) => report.cpuMs)) / elapsedMs).toFixed(0)} % of its core`,
    failures.join('; ') || 'none failed',
  ].join(', ');
};
